/** The daemon's log: lines for people on stderr, or JSON (pino). */
import { pino } from 'pino';

export interface Log {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** `json`: one pino record a line; `pretty`: the message alone. Both on stderr. */
export function openLog(format: 'json' | 'pretty'): Log {
  if (format === 'json') {
    const logger = pino({ base: { pid: process.pid } }, pino.destination({ dest: 2, sync: true }));
    return {
      info: (message) => logger.info(message),
      warn: (message) => logger.warn(message),
      error: (message) => logger.error(message),
    };
  }
  const line = (level: string) => (message: string) => process.stderr.write(`netferry: ${level}${message}\n`);
  return { info: line(''), warn: line('warning: '), error: line('error: ') };
}
