// Markdown as elements that can do nothing: no HTML of the text's own, no images, no links.
//
// What a model writes may have been put into its mouth by a file that it has read, and an address
// that is fetched or clicked can carry code away. So a link is its words and its address, as text.

import { codeBlock, element } from './dom.js';

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const INLINE = /(`+)(.+?)\1(?!`)|\*\*(?=\S)(.+?)\*\*|(?<![\w*])\*(?=[^\s*])(.+?)\*(?!\w)/s;

/** The elements of a text; an unfinished fence is code up to the end. */
export function rendered(text) {
  const made = document.createDocumentFragment();
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  let at = 0;
  while (at < lines.length) {
    const [block, next] = blockAt(lines, at);
    if (block) made.append(block);
    at = next;
  }
  return made;
}

function blockAt(lines, at) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) {
    // The page's own headings end at the third level.
    const level = Math.min(6, heading[1].length + 3);
    return [element(`h${level}`, {}, ...inline(heading[2])), at + 1];
  }
  if (ITEM.test(line)) return list(lines, at, indentOf(line));
  if (!line.trim()) return [null, at + 1];
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !beginsBlock(lines[end])) end += 1;
  return [element('p', {}, ...inline(lines.slice(at, end).join('\n'))), end];
}

function fenced(lines, at, [, mark, language]) {
  const closes = new RegExp(`^ {0,3}\\${mark[0]}{${mark.length},}\\s*$`);
  let end = at + 1;
  while (end < lines.length && !closes.test(lines[end])) end += 1;
  return [codeBlock(lines.slice(at + 1, end).join('\n'), language), end + 1];
}

function list(lines, at, indent) {
  const number = /^\s*(\d+)/.exec(lines[at]);
  const made = element(number ? 'ol' : 'ul');
  if (number) made.start = Number(number[1]);
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || item[1].length < indent || /^\d/.test(item[2]) !== Boolean(number)) break;
    let end = at + 1;
    while (end < lines.length && belongsToItem(lines, end, indent)) end += 1;
    const inner = lines.slice(at + 1, end).map((each) => each.slice(leastIndent(each, item)));
    made.append(element('li', {}, rendered([item[3], ...inner].join('\n'))));
    at = end;
  }
  return [made, at];
}

/** Deeper lines, and those that go on with its last one; blank ones where deeper ones follow. */
function belongsToItem(lines, at, indent) {
  if (!lines[at].trim()) {
    const next = lines.slice(at).find((each) => each.trim());
    return next !== undefined && indentOf(next) > indent;
  }
  return indentOf(lines[at]) > indent || (lines[at - 1].trim() && !beginsBlock(lines[at]));
}

const indentOf = (line) => line.length - line.trimStart().length;
const leastIndent = (line, item) => Math.min(indentOf(line), item[1].length + item[2].length + 1);
const beginsBlock = (line) => FENCE.test(line) || HEADING.test(line) || ITEM.test(line);

function inline(text) {
  const parts = [];
  let rest = text;
  for (let found; (found = INLINE.exec(rest)); ) {
    const [all, , code, bold, slanted] = found;
    parts.push(rest.slice(0, found.index));
    if (code !== undefined) parts.push(element('code', {}, code.replace(/^ (.+) $/s, '$1')));
    else if (bold !== undefined) parts.push(element('strong', {}, ...inline(bold)));
    else parts.push(element('em', {}, ...inline(slanted)));
    rest = rest.slice(found.index + all.length);
  }
  return [...parts, rest].filter((part) => part !== '');
}
