/** The item in the status bar: what the server is doing, asked after each sign of it. */

import * as vscode from 'vscode';
import type { Connection } from './connection.ts';
import { lookOf } from './look.ts';
import { switchedOff } from './settings.ts';
import type { ServerStatus } from './wire.ts';

// After an answer the state is rarely another one; while a model loads it will be.
const CALM_MS = 2000;
const PASSING_MS = 500;

const BACKGROUNDS = {
  plain: undefined,
  warning: new vscode.ThemeColor('statusBarItem.warningBackground'),
  error: new vscode.ThemeColor('statusBarItem.errorBackground'),
};

export class StatusItem implements vscode.Disposable {
  status: ServerStatus | undefined;
  /** What is to be said of the state, in a sentence. */
  detail = '';
  private readonly item = vscode.window.createStatusBarItem('tabby-lsp', vscode.StatusBarAlignment.Right, 100);
  private readonly connection: Connection;
  private readonly changes = new vscode.EventEmitter<ServerStatus | undefined>();
  readonly onChange = this.changes.event;
  private trouble: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly subscriptions: vscode.Disposable[];

  constructor(connection: Connection, menuCommand: string) {
    this.connection = connection;
    this.item.name = 'tabby-lsp';
    this.item.command = menuCommand;
    this.subscriptions = [
      connection.onPhase((phase) => {
        if (phase !== 'running') {
          this.status = undefined;
        }
        this.ask(0);
      }),
      connection.onSign(() => this.ask(CALM_MS)),
      vscode.window.onDidChangeActiveTextEditor(() => this.show()),
      vscode.workspace.onDidOpenTextDocument(() => this.ask(PASSING_MS)),
    ];
    this.show();
    this.item.show();
  }

  /** Why there is no server, until there is one. */
  setTrouble(trouble: string | undefined): void {
    this.trouble = trouble;
    this.show();
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const each of [...this.subscriptions, this.item, this.changes]) {
      each.dispose();
    }
  }

  /** Ask the server within this time, once for all who want that meanwhile. */
  private ask(within_ms: number): void {
    if (within_ms === 0) {
      clearTimeout(this.timer);
      this.timer = undefined;
    }
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.refresh();
    }, within_ms);
  }

  private async refresh(): Promise<void> {
    if (this.connection.phase === 'running') {
      try {
        this.status = await this.connection.execute<ServerStatus>('tabby.status');
      } catch (error) {
        this.connection.output.debug(`tabby.status: ${String(error)}`);
        return;
      }
      this.changes.fire(this.status);
    }
    this.show();
  }

  private show(): void {
    const language = vscode.window.activeTextEditor?.document.languageId;
    const { phase } = this.connection;
    const off = switchedOff(language);
    const look = lookOf({ phase, trouble: this.trouble, status: this.status, off, language });
    const tooltip = new vscode.MarkdownString();
    tooltip.appendText(look.detail);
    const chat = this.status?.chat;
    if (chat?.model) {
      tooltip.appendText(`\nChat: ${chat.model}, ${chat.state}.`);
    }
    this.detail = look.detail;
    this.item.text = look.text;
    this.item.tooltip = tooltip;
    this.item.backgroundColor = BACKGROUNDS[look.level];
    this.item.accessibilityInformation = { label: `tabby-lsp: ${look.detail}` };
    if (look.isPassing && phase === 'running') {
      this.ask(PASSING_MS);
    }
  }
}
