import { describe, expect, it } from 'vitest';
import { connectionOf } from './connect-pool.ts';

describe('connectionOf', () => {
  it.each([
    ['require', 'verify-full'],
    ['prefer', 'verify-full'],
    ['verify-ca', 'verify-full'],
    ['verify-full', 'verify-full'],
    ['no-verify', 'no-verify'],
    ['disable', 'disable'],
  ])('takes sslmode=%s for %s', (given, taken) => {
    const { connectionString } = connectionOf(`postgres://user:word@db.example:5433/tools?sslmode=${given}`);
    expect(connectionString).toBe(`postgres://user:word@db.example:5433/tools?sslmode=${taken}`);
  });

  it('leaves modes alone whose meaning the URL asks to be that of libpq', () => {
    const url = 'postgres://db/tools?sslmode=require&uselibpqcompat=true';
    expect(connectionOf(url).connectionString).toBe(url);
  });

  it("adds its own settings before the URL's", () => {
    const { connectionString, options } = connectionOf('postgres://db/tools?options=-c%20search_path%3Dmine');
    expect(connectionString).toBe('postgres://db/tools');
    expect(options).toMatch(/^-c plan_cache_mode=force_generic_plan .* -c search_path=mine$/);
  });
});
