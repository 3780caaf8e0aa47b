import { describe, expect, it } from 'vitest';
import { queryWords, rank } from './rank.ts';

const tool = (name: string, description = '') => ({ id: name, name, description });

describe('queryWords', () => {
  it('takes names apart and forgets case and repetition', () => {
    expect(queryWords('getUserName get_user.NAME straße 天気')).toEqual([
      'get',
      'user',
      'name',
      'straße',
      '天気',
    ]);
  });
});

describe('rank', () => {
  it('puts names before descriptions and more words before fewer', () => {
    const tools = [
      tool('other', 'nothing of it'),
      tool('find_place', 'weather there'),
      tool('weatherNow', 'tells it'),
      tool('weather_report', 'the weather of a place'),
    ];
    expect(
      rank(tools, queryWords('Weather place')).map(({ summary, score }) => [summary.name, score]),
    ).toEqual([
      ['weather_report', 4],
      ['find_place', 3],
      ['weatherNow', 2],
      ['other', 0],
    ]);
  });
});
