import { type EgressClient, EgressError } from '../../egress/egress-client.ts';
import { isJsonObject, type JsonValue } from '../../json.ts';
import type { BuiltinTool } from '../../tools/install-builtin-tools.ts';
import { CallError, type CallScope, type InternalFunction } from '../call.ts';

export const weatherTool: BuiltinTool = {
  pointer: 'tools.standard_tools.weather.get_current_weather',
  name: 'get_current_weather',
  toolType: 'standard',
  description: 'Get the current weather at a location.',
  parameters: {
    type: 'object',
    properties: {
      location: {
        type: 'string',
        minLength: 1,
        maxLength: 200,
        description: 'A city or place, e.g. "Paris".',
      },
    },
    required: ['location'],
  },
};

const MAX_RESPONSE_BYTES = 256 * 1024;

/** Weather codes of WMO table 4677, as Open-Meteo gives them out. */
const CONDITIONS: Readonly<Record<number, string>> = {
  0: 'Clear sky',
  1: 'Mainly clear',
  2: 'Partly cloudy',
  3: 'Overcast',
  45: 'Fog',
  48: 'Depositing rime fog',
  51: 'Light drizzle',
  53: 'Moderate drizzle',
  55: 'Dense drizzle',
  56: 'Light freezing drizzle',
  57: 'Dense freezing drizzle',
  61: 'Slight rain',
  63: 'Moderate rain',
  65: 'Heavy rain',
  66: 'Light freezing rain',
  67: 'Heavy freezing rain',
  71: 'Slight snowfall',
  73: 'Moderate snowfall',
  75: 'Heavy snowfall',
  77: 'Snow grains',
  80: 'Slight rain showers',
  81: 'Moderate rain showers',
  82: 'Violent rain showers',
  85: 'Slight snow showers',
  86: 'Heavy snow showers',
  95: 'Thunderstorm',
  96: 'Thunderstorm with slight hail',
  99: 'Thunderstorm with heavy hail',
};

/** The current weather from Open-Meteo (https://open-meteo.com/en/docs): its geocoding, then its forecast. */
export function createGetCurrentWeather(options: {
  egress: EgressClient;
  geocodingUrl: string;
  forecastUrl: string;
}): InternalFunction {
  return async (input, scope) => {
    const location = String(input.location);
    const places = await fetchJson(
      options.egress,
      scope,
      new URL(`/v1/search?${new URLSearchParams({ name: location, count: '1' })}`, options.geocodingUrl),
    );
    const place = isJsonObject(places) && Array.isArray(places.results) ? places.results[0] : undefined;
    if (!isJsonObject(place) || typeof place.latitude !== 'number' || typeof place.longitude !== 'number') {
      throw new CallError(
        'invalid_arguments',
        `No place named "${location}" was found. Try another spelling.`,
      );
    }
    const query = new URLSearchParams({
      latitude: String(place.latitude),
      longitude: String(place.longitude),
      current: 'temperature_2m,weather_code',
    });
    const forecast = await fetchJson(
      options.egress,
      scope,
      new URL(`/v1/forecast?${query}`, options.forecastUrl),
    );
    const current = isJsonObject(forecast) ? forecast.current : undefined;
    if (!isJsonObject(current) || typeof current.temperature_2m !== 'number') throw notAsExpected();
    return {
      location: [place.name, place.country].filter((part) => typeof part === 'string').join(', ') || location,
      temperature: `${Math.round(current.temperature_2m) + 0}°C`,
      condition: CONDITIONS[Number(current.weather_code)] ?? 'Unknown',
    };
  };
}

async function fetchJson(
  egress: EgressClient,
  { cancellation, requestId }: CallScope,
  url: URL,
): Promise<JsonValue> {
  try {
    const { status, body } = await egress.request({
      url,
      method: 'GET',
      headers: { accept: 'application/json', 'user-agent': 'tool-service', 'x-request-id': requestId },
      signal: cancellation,
      maxResponseBytes: MAX_RESPONSE_BYTES,
    });
    if (status !== 200)
      throw new CallError('upstream_error', `The weather service answered with HTTP status ${status}.`);
    return JSON.parse(body.toString('utf8')) as JsonValue;
  } catch (error) {
    if (error instanceof CallError) throw error;
    if (error instanceof SyntaxError) throw notAsExpected();
    if (!(error instanceof EgressError)) throw error;
    if (error.reason === 'timeout') {
      throw new CallError('timeout', 'The weather service did not answer in time.', { cause: error });
    }
    const code = error.reason === 'canceled' ? 'canceled' : 'unreachable';
    throw new CallError(code, 'The weather service cannot be reached from here; it may be offline.', {
      cause: error,
    });
  }
}

function notAsExpected(): CallError {
  return new CallError('invalid_response', 'The weather service answered with something unexpected.');
}
