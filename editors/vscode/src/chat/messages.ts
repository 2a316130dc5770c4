/** What the extension and the chat's page say to each other. */

export interface Entry {
  readonly role: 'user' | 'assistant';
  readonly text: string;
  /** `failed`: `text` is what the server said of it. */
  readonly state: 'writing' | 'done' | 'stopped' | 'failed';
  /** The piece of code that went along, as it is shown. */
  readonly about?: string;
}

export interface View {
  readonly entries: readonly Entry[];
  readonly isBusy: boolean;
  readonly draft: string;
  /** The selection that goes along with the next question. */
  readonly selection: string;
  readonly model: string;
}

export type ToPage =
  | { readonly type: 'view'; readonly view: View }
  /** The answer has grown. */
  | { readonly type: 'entry'; readonly index: number; readonly entry: Entry }
  | { readonly type: 'focus' };

export type FromPage =
  | { readonly type: 'ready' | 'stop' | 'dropSelection' }
  | { readonly type: 'send' | 'draft' | 'copy' | 'insert'; readonly text: string };
