/** What the server is asked beyond the protocol, and what it answers; docs/lsp-extensions.md. */

import type { Range } from 'vscode-languageclient';

/** Those that change the document, by what follows `tabby.`. */
export type EditKind = 'document' | 'fix' | 'tests' | 'edit';

export interface Where {
  readonly uri: string;
  readonly range: Range;
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface ChatAnswer {
  readonly id: string;
  readonly message: ChatMessage;
  readonly model: string;
}

export interface ChatDelta {
  readonly id: string;
  readonly delta: string;
}

export interface EditAnswer {
  readonly applied: boolean;
  readonly model: string;
}

export type EngineState = 'unloaded' | 'loading' | 'ready' | 'away' | 'failed';

export interface EngineStatus {
  readonly state: EngineState;
  readonly model: string;
  readonly languages: readonly string[];
  readonly message: string;
  readonly is_remote: boolean;
}

export interface ServerStatus {
  readonly version: string;
  readonly engine: EngineStatus | null;
  readonly config: string;
  readonly chat?: { readonly state: string; readonly model: string; readonly message: string } | null;
}

export interface Decision {
  readonly uri: string;
  readonly position: { readonly line: number; readonly character: number };
  readonly outcome: string;
  readonly reason: string;
  readonly model: string;
  readonly timings: { readonly total_ms: number };
}

export const CHAT_DELTA = 'tabby/chat/delta';
