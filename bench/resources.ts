import { readdirSync, readFileSync } from 'node:fs';

/** The unit of CPU times in /proc, in milliseconds: USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** Whether this system tells what other processes use. */
export const hasProc: boolean = process.platform === 'linux';

/** CPU time, user and system, that a process and its living descendants have used, in milliseconds. Linux alone. */
export function cpuMsOf(pid: number): number {
  return sum(family(pid).map(ownCpuMs));
}

/** Memory that a process and its living descendants hold, in bytes; what they share counts for each. Linux alone. */
export function residentBytesOf(pid: number): number {
  return sum(family(pid).map(ownResidentBytes));
}

function ownCpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name in parentheses may hold spaces. After it come the state and more; user and system time are 11 and 12.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function ownResidentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kilobytes) * 1024;
}

function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(family)];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
