/**
 * Markdown as HTML that can do nothing: no HTML of the text's own, no images, no links.
 *
 * What a model writes may have been put into its mouth by a file that it read, and an address that is
 * fetched or clicked can carry code away.
 */

import MarkdownIt from 'markdown-it';

const parser = new MarkdownIt({ html: false, linkify: false, typographer: false }).disable([
  'image',
  'link',
  'autolink',
  'reference',
  'html_block',
  'html_inline',
]);

// Alignment would be an inline style, which the page's policy forbids.
parser.renderer.rules['th_open'] = () => '<th>';
parser.renderer.rules['td_open'] = () => '<td>';

parser.renderer.rules['fence'] = (tokens, n) => {
  const { content, info } = tokens[n]!;
  return codeBlock(content, info.trim().split(/\s+/)[0] ?? '');
};
parser.renderer.rules['code_block'] = (tokens, n) => codeBlock(tokens[n]!.content, '');

export function htmlOf(markdown: string): string {
  return parser.render(markdown);
}

function codeBlock(code: string, language: string): string {
  const escape = parser.utils.escapeHtml;
  return (
    `<div class="code"><div class="code-bar"><span>${escape(language)}</span>` +
    '<button type="button" data-action="copy">Copy</button>' +
    '<button type="button" data-action="insert" title="Insert at the cursor">Insert</button></div>' +
    `<pre tabindex="0"><code>${escape(code)}</code></pre></div>\n`
  );
}
