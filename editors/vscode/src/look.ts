/** What the status bar shows, told from the server's state; values in, values out. */

import type { Phase } from './connection.ts';
import type { ServerStatus } from './wire.ts';

export interface Facts {
  readonly phase: Phase;
  /** Why the server does not run, where somebody can do something about it. */
  readonly trouble: string | undefined;
  readonly status: ServerStatus | undefined;
  readonly off: 'everywhere' | 'language' | undefined;
  /** The language id of the active document. */
  readonly language: string | undefined;
}

export interface Look {
  readonly text: string;
  readonly detail: string;
  readonly level: 'plain' | 'warning' | 'error';
  /** Whether it changes soon by itself. */
  readonly isPassing: boolean;
}

const NAME = 'tabby-lsp';

export function lookOf({ phase, trouble, status, off, language }: Facts): Look {
  if (trouble !== undefined || phase === 'failed' || phase === 'stopped') {
    const level = phase === 'stopped' && trouble === undefined ? 'plain' : 'error';
    return look('error', trouble ?? (phase === 'stopped' ? 'Stopped.' : STOPPED_BY_ITSELF), level);
  }
  const engine = status?.engine;
  if (phase === 'starting' || !engine) {
    return look('loading~spin', 'Starting.', 'plain', true);
  }
  if (engine.state === 'failed') {
    return look('error', engine.message, 'error');
  }
  if (off !== undefined) {
    return look('circle-slash', off === 'everywhere' ? 'Switched off.' : `Switched off in ${language}.`);
  }
  if (language !== undefined && engine.languages.length > 0 && !engine.languages.includes(language)) {
    const known = engine.languages.join(', ');
    return look('circle-slash', `The model ${engine.model} knows ${known} only, and is silent in ${language}.`);
  }
  switch (engine.state) {
    case 'away':
      return look('debug-disconnect', engine.message, 'warning');
    case 'loading':
      return look('loading~spin', `Loading the model ${engine.model}.`, 'plain', true);
    case 'unloaded':
      return look('sparkle', `The model ${engine.model} is loaded when it is first needed.`);
    case 'ready':
      return look('sparkle', `Ready: the model ${engine.model}, ${engine.is_remote ? 'on a server' : 'on this machine'}.`);
  }
}

const STOPPED_BY_ITSELF = 'The language server has ended. Its log says why.';

function look(icon: string, detail: string, level: Look['level'] = 'plain', isPassing = false): Look {
  return { text: `$(${icon}) ${NAME}`, detail, level, isPassing };
}
