/** Messages to the console, or to a callback of the application. Nothing secret is ever passed to it. */

import { unsupported } from './error.js';

/** How grave a message is. */
export type LogLevel = 'Error' | 'Warning' | 'Info' | 'Debug' | 'Verbose';

/** Receives every message that passes the level. */
export type CustomLogCallback = (level: LogLevel, message: string) => void;

const ORDER: readonly LogLevel[] = ['Error', 'Warning', 'Info', 'Debug', 'Verbose'];

/** The log of all databases of this page. */
export class Logger {
  /** Files need a native build. */
  static readonly logFile: string | undefined = undefined;
  /** Whether anything is logged. */
  static enabled = true;
  /** Messages below this level are dropped. */
  static minimumLogLevel: LogLevel = 'Info';
  static #callback: CustomLogCallback | undefined;

  private constructor() {}

  /** The callback that receives the messages. */
  static get customLogCallback(): CustomLogCallback | undefined {
    return Logger.#callback;
  }

  /** Sets or removes the callback that receives the messages. */
  static setCustomLogCallback(callback?: CustomLogCallback): Promise<void> {
    Logger.#callback = callback;
    return Promise.resolve();
  }

  /** Not supported in browsers. */
  static exportToFile(_path: string): Promise<number> {
    return Promise.reject(unsupported('Logger.exportToFile'));
  }

  /** Logs a message. */
  static log(level: LogLevel, message: string): void {
    if (!Logger.enabled || ORDER.indexOf(level) > ORDER.indexOf(Logger.minimumLogLevel)) return;
    Logger.#callback?.(level, message);
    const line = `[shoal] ${message}`;
    if (level === 'Error') console.error(line);
    else if (level === 'Warning') console.warn(line);
    else if (level === 'Info') console.info(line);
    else console.debug(line);
  }

  /** Logs an error. */
  static error(message: string): void {
    Logger.log('Error', message);
  }

  /** Logs a warning. */
  static warning(message: string): void {
    Logger.log('Warning', message);
  }

  /** Logs something worth knowing. */
  static info(message: string): void {
    Logger.log('Info', message);
  }

  /** Logs a detail. */
  static debug(message: string): void {
    Logger.log('Debug', message);
  }

  /** Logs a small detail. */
  static verbose(message: string): void {
    Logger.log('Verbose', message);
  }
}
