import assert from 'node:assert/strict';
import { test } from 'node:test';
import { htmlOf } from '../media/markdown.ts';

test('headings, lists, bold and inline code are drawn', () => {
  assert.equal(
    htmlOf('# A\n\n- **b** `c < d`\n'),
    '<h1>A</h1>\n<ul>\n<li><strong>b</strong> <code>c &lt; d</code></li>\n</ul>\n',
  );
});

test('code has its language, its buttons and nothing that a browser would read', () => {
  const html = htmlOf('```python"><script>\nprint("</code><script>")\n```\n');
  assert.match(html, /<span>python&quot;&gt;&lt;script&gt;<\/span>/);
  assert.match(html, /data-action="copy".*data-action="insert"/);
  assert.match(html, /print\(&quot;&lt;\/code&gt;&lt;script&gt;&quot;\)/);
});

test('a fence that is still open is code already', () => {
  assert.match(htmlOf('```\nx = 1'), /<pre tabindex="0"><code>x = 1<\/code><\/pre>/);
});

test('nothing is fetched, linked or run, whatever the text says', () => {
  const texts = [
    '![a](https://evil.example/a.png)',
    '[a](https://evil.example)',
    '[a](javascript:alert(1))',
    '[a][b]\n\n[b]: https://evil.example',
    '![a][b]\n\n[b]: https://evil.example',
    '<https://evil.example>',
    'https://evil.example',
    '<img src=https://evil.example onerror=alert(1)>',
    '<script>alert(1)</script>',
    '<a href="command:x">a</a>',
    '<div\nonclick=alert(1)>',
    '| a |\n|:-:|\n| <img src=x> |',
  ];
  for (const text of texts) {
    const tags = [...htmlOf(text).matchAll(/<\/?(\w+)([^>]*)>/g)];
    for (const [tag, name, attributes] of tags) {
      assert.match(name!, /^(p|table|thead|tbody|tr|th|td)$/, `${text}: ${tag}`);
      assert.equal(attributes, '', `${text}: ${tag}`);
    }
  }
});
