/** Pieces of documents: what is selected, how that is called, what stands there. */

import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Where } from './wire.ts';

const SCHEMES = ['file', 'untitled'];

/** What is selected, undefined where nothing is, or where the server does not know the document. */
export function selectionOf({ document, selection }: vscode.TextEditor): Where | undefined {
  const isOurs = SCHEMES.includes(document.uri.scheme);
  return isOurs && !selection.isEmpty ? whereOf(document.uri, selection) : undefined;
}

/** The selection, or the cursor where nothing is selected; undefined outside a document. */
export function placeOf(editor: vscode.TextEditor | undefined): Where | undefined {
  const isOurs = editor !== undefined && SCHEMES.includes(editor.document.uri.scheme);
  return isOurs ? whereOf(editor.document.uri, editor.selection) : undefined;
}

/** `view.py:3-9`, with lines as the editor counts them. */
export function labelOf({ uri, range: { start, end } }: Where): string {
  const name = path.posix.basename(vscode.Uri.parse(uri).path);
  const last = end.character === 0 && end.line > start.line ? end.line - 1 : end.line;
  return last === start.line ? `${name}:${start.line + 1}` : `${name}:${start.line + 1}-${last + 1}`;
}

/** The text there, whole lines where nothing is selected. */
export async function sourceOf(where: Where): Promise<{ label: string; code: string; language: string }> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(where.uri));
  const { start, end } = where.range;
  const range = new vscode.Range(start.line, start.character, end.line, end.character);
  const code = document.getText(range.isEmpty ? document.lineAt(start.line).range : range);
  return { label: labelOf(where), code, language: document.languageId };
}

function whereOf(uri: vscode.Uri, { start, end }: vscode.Range): Where {
  const range = {
    start: { line: start.line, character: start.character },
    end: { line: end.line, character: end.character },
  };
  return { uri: uri.toString(), range };
}
