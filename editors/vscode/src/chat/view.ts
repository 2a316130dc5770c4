/**
 * The chat in the side bar.
 *
 * The conversation lives here and not in the page, so it goes on while the view is hidden, and ends
 * with the window: nothing of it is written to disk.
 */

import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import { LSPErrorCodes, ResponseError } from 'vscode-languageclient/node';
import type { Connection } from '../connection.ts';
import { labelOf, selectionOf, sourceOf } from '../selection.ts';
import type { ChatAnswer, Where } from '../wire.ts';
import { ask, fenced, messagesOf, write, type Turn } from './conversation.ts';
import type { FromPage, ToPage } from './messages.ts';
import { pageOf } from './page.ts';

export const VIEW = 'tabby-lsp.chat';

// The page draws the answer so often while it grows; more cannot be read.
const DRAW_MS = 50;

interface Question {
  readonly text: string;
  readonly content?: string;
  readonly about?: string;
}

export class ChatView implements vscode.WebviewViewProvider, vscode.Disposable {
  private turns: readonly Turn[] = [];
  private draft = '';
  private model = '';
  private selected: Where | undefined;
  private running: { readonly id: string; readonly source: vscode.CancellationTokenSource } | undefined;
  private view: vscode.WebviewView | undefined;
  private drawing: NodeJS.Timeout | undefined;
  private readonly connection: Connection;
  private readonly extension: vscode.Uri;
  private readonly subscriptions: vscode.Disposable[];

  constructor(connection: Connection, extension: vscode.Uri) {
    this.connection = connection;
    this.extension = extension;
    this.subscriptions = [
      connection.onDelta(({ id, delta }) => this.grow(id, delta)),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => this.look(textEditor)),
      vscode.window.onDidChangeActiveTextEditor((editor) => this.look(editor)),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.forget(uri)),
    ];
    this.look(vscode.window.activeTextEditor);
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view;
    const folders = ['dist', 'media'].map((name) => vscode.Uri.joinPath(this.extension, name));
    view.webview.options = { enableScripts: true, localResourceRoots: folders };
    view.webview.onDidReceiveMessage((message: FromPage) => this.take(message));
    view.onDidDispose(() => (this.view = undefined));
    view.webview.html = pageOf(view.webview, this.extension);
  }

  dispose(): void {
    this.stop();
    clearTimeout(this.drawing);
    for (const each of this.subscriptions) {
      each.dispose();
    }
  }

  /** Bring it to the front, ready to be typed into. */
  async open(): Promise<void> {
    await vscode.commands.executeCommand(`${VIEW}.focus`);
    this.post({ type: 'focus' });
  }

  /** Begin anew; an answer that is being written is stopped. */
  clear(): void {
    this.stop();
    this.turns = [];
    this.show();
  }

  /** The model that will answer, as the server names it. */
  setModel(model: string): void {
    if (model !== this.model) {
      this.model = model;
      this.show();
    }
  }

  /** Have the server explain a piece of code, here. */
  async explain(where: Where): Promise<void> {
    await vscode.commands.executeCommand(`${VIEW}.focus`);
    const { label, code, language } = await sourceOf(where);
    const content = `Explain this code from ${label}:\n\n${fenced(code, language)}`;
    await this.run({ text: 'Explain', about: label, content }, 'tabby.explain', (id) => ({ ...where, id }));
  }

  private take(message: FromPage): void {
    switch (message.type) {
      case 'ready':
        return this.show();
      case 'stop':
        return this.stop();
      case 'dropSelection':
        this.selected = undefined;
        return this.show();
      case 'draft':
        this.draft = message.text;
        return;
      case 'send':
        this.draft = '';
        void this.send(message.text);
        return;
      case 'copy':
        void vscode.env.clipboard.writeText(message.text);
        return;
      case 'insert':
        void insert(message.text);
        return;
    }
  }

  private send(text: string): Promise<void> {
    const { selected } = this;
    const question = selected ? { text, about: labelOf(selected) } : { text };
    return this.run(question, 'tabby.chat', (id) => ({
      id,
      messages: messagesOf(this.turns),
      ...(selected ? { context: selected } : {}),
    }));
  }

  private async run(question: Question, command: string, argumentFor: (id: string) => object): Promise<void> {
    this.stop();
    const running = { id: randomUUID(), source: new vscode.CancellationTokenSource() };
    this.running = running;
    this.turns = ask(this.turns, question);
    this.show();
    try {
      const argument = argumentFor(running.id);
      const answer = await this.connection.execute<ChatAnswer>(command, argument, running.source.token);
      this.finish(running.id, { state: 'done', text: answer.message.content });
    } catch (error) {
      const wasStopped = error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled;
      this.finish(running.id, wasStopped ? { state: 'stopped' } : { state: 'failed', text: said(error) });
    } finally {
      running.source.dispose();
    }
  }

  private grow(id: string, delta: string): void {
    if (id !== this.running?.id) {
      return;
    }
    this.turns = write(this.turns, { text: (this.turns.at(-1)?.text ?? '') + delta });
    this.drawing ??= setTimeout(() => {
      this.drawing = undefined;
      const entry = this.turns.at(-1);
      if (entry) {
        this.post({ type: 'entry', index: this.turns.length - 1, entry });
      }
    }, DRAW_MS);
  }

  private stop(): void {
    if (this.running) {
      this.running.source.cancel();
      this.finish(this.running.id, { state: 'stopped' });
    }
  }

  private finish(id: string, change: Partial<Turn>): void {
    if (id === this.running?.id) {
      this.running = undefined;
      this.turns = write(this.turns, change);
      this.show();
    }
  }

  /** What is selected goes along with the next question; another editor's selection takes its place. */
  private look(editor: vscode.TextEditor | undefined): void {
    // Without an editor in front, as while another panel has the place, the last one still counts.
    if (editor && editor === vscode.window.activeTextEditor) {
      this.selected = selectionOf(editor);
      this.show();
    }
  }

  /** The server knows open documents only. */
  private forget(uri: vscode.Uri): void {
    if (this.selected?.uri === uri.toString()) {
      this.selected = undefined;
      this.show();
    }
  }

  private show(): void {
    clearTimeout(this.drawing);
    this.drawing = undefined;
    this.post({
      type: 'view',
      view: {
        entries: this.turns,
        isBusy: this.running !== undefined,
        draft: this.draft,
        selection: this.selected ? labelOf(this.selected) : '',
        model: this.model,
      },
    });
  }

  private post(message: ToPage): void {
    void this.view?.webview.postMessage(message);
  }
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function insert(text: string): Promise<void> {
  const editor = vscode.window.activeTextEditor ?? vscode.window.visibleTextEditors[0];
  if (!editor) {
    void vscode.window.showInformationMessage('Open a file first: there is no cursor to insert it at.');
    return;
  }
  await editor.edit((edit) => editor.selections.forEach((selection) => edit.replace(selection, text)));
  await vscode.window.showTextDocument(editor.document, editor.viewColumn);
}
