// Starts the parts of the page, and tells each of them what the server has.

import { codeBlock, byId, element } from './page/dom.js';
import * as chat from './page/chat.js';
import * as days from './page/days.js';
import * as playground from './page/playground.js';
import { watch } from './page/status.js';

/** This server's own address in what is to be copied; a key is never written into it. */
function fillAddresses() {
  for (const place of document.querySelectorAll('[data-fill]')) {
    const text = place.dataset.fill.replaceAll('URL', location.origin);
    if (place.classList.contains('copy')) place.replaceWith(codeBlock(text));
    else place.textContent = text;
  }
}

function tellOfKeys(status) {
  const words = status.needs_key
    ? ['It asks for a key: put the ', element('code', {}, 'api'), ' key in the place of ', element('code', {}, 'KEY'), '.']
    : ['It asks for no key, so any word will do where one is asked for.'];
  byId('key-words').replaceChildren(...words);
}

fillAddresses();
for (const part of [chat, days, playground]) part.start();
watch((status) => {
  tellOfKeys(status);
  for (const part of [chat, days, playground]) part.hear(status);
});
