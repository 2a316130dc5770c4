/** Explain, document, fix, write tests, edit: from the editor's menu and from code actions alike. */

import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import { LSPErrorCodes, ResponseError } from 'vscode-languageclient/node';
import type { ChatView } from './chat/view.ts';
import type { Connection } from './connection.ts';
import { placeOf } from './selection.ts';
import type { EditAnswer, EditKind, Where } from './wire.ts';

const TITLES: { readonly [kind in EditKind]: string } = {
  document: 'Documenting',
  fix: 'Fixing',
  tests: 'Writing tests',
  edit: 'Editing',
};

export class Actions {
  private readonly connection: Connection;
  private readonly chat: ChatView;

  constructor(connection: Connection, chat: ChatView) {
    this.connection = connection;
    this.chat = chat;
    connection.takeCommand = (command, argument) => this.take(command, argument);
  }

  /** Do it to what is selected in the active editor. */
  async here(kind: EditKind | 'explain'): Promise<void> {
    const where = placeOf(vscode.window.activeTextEditor);
    if (where) {
      await this.run(kind, where);
    } else {
      void vscode.window.showInformationMessage('Open a file first.');
    }
  }

  /** The server's own commands come from code actions; these five are run with a face. */
  private take(command: string, argument: unknown): boolean {
    const kind = command.replace(/^tabby\./, '');
    if (kind !== 'explain' && !isEdit(kind)) {
      return false;
    }
    if (!isWhere(argument)) {
      return false;
    }
    void this.run(kind, argument);
    return true;
  }

  private async run(kind: EditKind | 'explain', { uri, range, ...more }: Where): Promise<void> {
    if (kind === 'explain') {
      return this.chat.explain({ uri, range });
    }
    const given = 'instruction' in more ? more.instruction : undefined;
    const instruction = given ?? (kind === 'edit' ? await askForInstruction() : undefined);
    if (kind === 'edit' && !instruction) {
      return;
    }
    await this.edit(kind, { uri, range, ...(instruction === undefined ? {} : { instruction }) });
  }

  private async edit(kind: EditKind, argument: object): Promise<void> {
    const title = `tabby-lsp: ${TITLES[kind]}`;
    const location = vscode.ProgressLocation.Notification;
    await vscode.window.withProgress({ location, title, cancellable: true }, async (progress, token) => {
      const workDoneToken = randomUUID();
      const watching = this.connection.onProgress(workDoneToken, (step) => {
        if (step.kind !== 'end' && step.message !== undefined) {
          progress.report({ message: step.message });
        }
      });
      try {
        const command = `tabby.${kind}`;
        const answer = await this.connection.execute<EditAnswer>(command, argument, token, workDoneToken);
        if (!answer.applied) {
          void vscode.window.showWarningMessage('tabby-lsp: the document has changed meanwhile, so the edit was left out.');
        }
      } catch (error) {
        explain(error);
      } finally {
        watching.dispose();
      }
    });
  }
}

function askForInstruction(): Thenable<string | undefined> {
  return vscode.window.showInputBox({
    title: 'Edit with tabby-lsp',
    prompt: 'What should become of the selected code?',
    placeHolder: 'use a dictionary instead of the list',
    ignoreFocusOut: true,
  });
}

/** What a person stopped needs no message. */
function explain(error: unknown): void {
  if (error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled) {
    return;
  }
  void vscode.window.showErrorMessage(`tabby-lsp: ${error instanceof Error ? error.message : String(error)}`);
}

function isEdit(kind: string): kind is EditKind {
  return kind in TITLES;
}

function isWhere(argument: unknown): argument is Where {
  return typeof argument === 'object' && argument !== null && 'uri' in argument && 'range' in argument;
}
