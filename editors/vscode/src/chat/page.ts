/** The chat's page: nothing is loaded from elsewhere, and no script runs but ours. */

import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

export function pageOf(webview: vscode.Webview, extension: vscode.Uri): string {
  const script = webview.asWebviewUri(vscode.Uri.joinPath(extension, 'dist', 'chat.js'));
  const style = webview.asWebviewUri(vscode.Uri.joinPath(extension, 'media', 'chat.css'));
  const nonce = randomBytes(16).toString('base64');
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta http-equiv="Content-Security-Policy" content="${policy}">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="stylesheet" href="${style}">
  <title>Chat</title>
</head>
<body>
  <main id="log" role="log" aria-live="polite" aria-label="Conversation" tabindex="-1"></main>
  <form id="form">
    <div id="selection" hidden>
      <span id="selection-label"></span>
      <button type="button" id="drop" title="Leave this selection out" aria-label="Leave this selection out">×</button>
    </div>
    <textarea id="question" rows="1" placeholder="Ask about your code" aria-label="Question"></textarea>
    <div id="bar">
      <span id="model"></span>
      <button type="button" id="stop" hidden>Stop</button>
      <button type="submit" id="send">Send</button>
    </div>
  </form>
  <script nonce="${nonce}" src="${script}"></script>
</body>
</html>`;
}
