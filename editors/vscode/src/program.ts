/** The program to start: what the setting says, and where that is. */

import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
}

export interface Place {
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  readonly isWindows: boolean;
  readonly isProgram: (path: string) => boolean;
}

const HERE: Place = {
  env: process.env,
  home: homedir(),
  isWindows: process.platform === 'win32',
  isProgram,
};

/** A setting is a program, or a program with its arguments; undefined where it is neither. */
export function parse(setting: unknown): Program | undefined {
  const [command, ...args] = Array.isArray(setting) ? setting : [setting];
  const isFit = [command, ...args].every((each) => typeof each === 'string') && command.trim() !== '';
  return isFit ? { command: command.trim(), args } : undefined;
}

/** The same program by its path; undefined where there is none. */
export function find({ command, args }: Program, place: Place = HERE): Program | undefined {
  const name = command.replace(/^~(?=[/\\])/, place.home);
  const folders = isAbsolute(name) ? [''] : foldersOf(place);
  // A relative path would start at a folder that nobody chose.
  if (!isAbsolute(name) && /[/\\]/.test(name)) {
    return undefined;
  }
  const paths = folders.flatMap((folder) => endings(name, place).map((ending) => join(folder, name + ending)));
  const path = paths.find(place.isProgram);
  return path === undefined ? undefined : { command: path, args };
}

/** `PATH`, and where uv and pipx put programs: an editor that was started by a click may not have it. */
function foldersOf({ env, home }: Place): string[] {
  const path = env['PATH'] ?? env['Path'] ?? '';
  return [...path.split(delimiter).filter(isAbsolute), join(home, '.local', 'bin')];
}

function endings(name: string, { env, isWindows }: Place): string[] {
  if (!isWindows) {
    return [''];
  }
  const known = (env['PATHEXT'] ?? '.EXE').split(';').filter((ending) => /^\.(exe|com)$/i.test(ending));
  return /\.(exe|com)$/i.test(name) ? [''] : known;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
