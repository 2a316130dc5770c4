/** The last answers of the server, and why they were as they were. */

import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Connection } from './connection.ts';
import type { Decision } from './wire.ts';

const N_DECISIONS = 20;

/** A list of them, the newest first; choosing one goes to its place. */
export async function explainSilence(connection: Connection): Promise<void> {
  let decisions: readonly Decision[];
  try {
    ({ decisions } = await connection.execute<{ decisions: Decision[] }>('tabby.inspect', { n: N_DECISIONS }));
  } catch (error) {
    void vscode.window.showErrorMessage(`tabby-lsp: ${error instanceof Error ? error.message : String(error)}`);
    return;
  }
  const items = [...decisions].reverse().map((decision) => ({ ...itemOf(decision), decision }));
  const chosen = await vscode.window.showQuickPick(items, {
    title: 'The last answers',
    placeHolder: items.length > 0 ? 'docs/lsp-extensions.md explains the words' : 'Nothing was asked yet',
  });
  if (chosen) {
    const { line, character } = chosen.decision.position;
    const selection = new vscode.Range(line, character, line, character);
    await vscode.window.showTextDocument(vscode.Uri.parse(chosen.decision.uri), { selection });
  }
}

function itemOf({ uri, position, outcome, reason, model, timings }: Decision): vscode.QuickPickItem {
  const name = path.posix.basename(vscode.Uri.parse(uri).path);
  return {
    label: `${outcome}: ${reason}`,
    description: `${name}:${position.line + 1}:${position.character + 1}`,
    detail: `${model}, ${Math.round(timings.total_ms)} ms`,
  };
}
