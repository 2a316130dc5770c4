/** One conversation, as values: what was said, and what of it goes to the model. */

import type { ChatMessage } from '../wire.ts';
import type { Entry } from './messages.ts';

export interface Turn extends Entry {
  /** What the model reads in later turns, where it is not `text`. */
  readonly content?: string;
}

/** A question, and the answer that is being written. */
export function ask(turns: readonly Turn[], question: Omit<Turn, 'role' | 'state'>): readonly Turn[] {
  return [
    ...turns,
    { ...question, role: 'user', state: 'done' },
    { role: 'assistant', state: 'writing', text: '' },
  ];
}

/** The last turn, changed while it is being written; a turn that has ended stays as it is. */
export function write(turns: readonly Turn[], change: Partial<Turn>): readonly Turn[] {
  const last = turns.at(-1);
  return last?.state === 'writing' ? [...turns.slice(0, -1), { ...last, ...change }] : turns;
}

/** What the model is given: questions that were answered, at least in part, and the last one. */
export function messagesOf(turns: readonly Turn[]): ChatMessage[] {
  return turns.flatMap((turn, n) => {
    const answer = turn.role === 'user' ? turns[n + 1] : turn;
    const isTold = answer?.state === 'writing' || isSaid(answer);
    const content = turn.content ?? turn.text;
    return isTold && content !== '' ? [{ role: turn.role, content }] : [];
  });
}

function isSaid(answer: Turn | undefined): boolean {
  return answer !== undefined && answer.state !== 'failed' && answer.text !== '';
}

/** Code between fences that none of its own lines closes. */
export function fenced(code: string, language: string): string {
  const longest = Math.max(2, ...[...code.matchAll(/^ *(`{3,})/gm)].map(([, run]) => run!.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${code}${code.endsWith('\n') ? '' : '\n'}${fence}`;
}
