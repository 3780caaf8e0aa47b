import { describe, expect, it } from 'vitest';
import { queryWords, scoreOf } from './rank.ts';

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

describe('scoreOf', () => {
  it.each([
    ['weather_report', 'the weather of a place', 4],
    ['find_place', 'weather there', 3],
    ['weatherNow', 'tells it', 2],
    ['other', 'nothing of it', 0],
  ])('counts names before descriptions and each word once: %s', (name, description, score) => {
    expect(scoreOf({ name, description }, queryWords('Weather place'))).toBe(score);
  });
});
