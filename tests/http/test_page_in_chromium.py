"""The page as a person has it: in a real Chromium, on a real server."""

from __future__ import annotations

import json
import signal
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.wire import wait_until
from tests.http.chromium import browser, chromium, tab
from tests.http.served import PATIENCE_S, add_suggestion, free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabby_lsp.domain import Fate
    from tests.http.chromium import Tab, Wire
    from tests.http.served import Served

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="there is no Chromium here: `apt-get install chromium`"
)
ANSWERED = "document.querySelector('article.answer') && !document.querySelector('.writing')"
MAX_TOKENS = 30_000
BODY = "document.querySelector('article.answer .body')"


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, endless_model: Path) -> Iterator[Served]:
    """With a repository, a log of suggestions, and a chat that ends when it is stopped."""
    home = tmp_path_factory.mktemp("home")
    house = home / "house"
    house.mkdir()
    (house / "gate.py").write_text("def judge_visitor(name):\n    return name in PORTER_LIST\n")
    (home / ".tabby").mkdir()
    table = f'[[repositories]]\ngit_url = "file://{house}"\n'
    (home / ".tabby/config.toml").write_text(table)
    fates: tuple[Fate, ...] = ("accepted", "typed-along", "dismissed")
    for fate in fates:
        add_suggestion(home, fate)
    config = home / "config.toml"
    config.write_text(f"[chat]\nmax_tokens = {MAX_TOKENS}\n")
    with serving(home, "--chat-model", str(endless_model), "--config", str(config)) as started:
        yield started


@pytest.fixture
def page(wire: Wire, server: Served) -> Iterator[Tab]:
    """The page, loaded and sure of its server; afterwards nothing was complained of."""
    with tab(wire) as opened:
        opened.open(server.url)
        opened.wait_text("#connection", "Ready")
        yield opened
        assert opened.complaints() == []


def ask(page: Tab, question: str) -> None:
    page.click("#question")
    page.type(question)
    page.press("Enter")


def chat_model_of(server: Served) -> dict[str, Any]:
    models: list[dict[str, Any]] = server.json("/v1/page/status")["models"]
    return next(model for model in models if model["role"] == "chat")


# What is loaded.


def test_what_is_loaded_is_shown(page: Tab) -> None:
    assert "starter" in page.text("#model-list")
    assert "nonsense-chat" in page.text("#model-list")
    assert "idle" in page.text("#model-list")


def test_what_runs_and_what_waits_is_shown(page: Tab, server: Served) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "def"}], "max_tokens": 30_000})
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with ExitStack() as others:
        for _ in range(3):
            other = others.enter_context(socket.create_connection(address))
            other.sendall(f"{head}{body}".encode())
        page.wait_text("#model-list", "1 running, 2 waiting")
        page.wait_text("#connection", "Busy: 3 requests")
    page.wait_text("#connection", "Ready")
    assert "idle" in page.text("#model-list")


# Chat.


def test_an_answer_grows_and_is_stopped_and_the_server_with_it(page: Tab, server: Served) -> None:
    n_generated_before = chat_model_of(server)["n_generated_total"]
    ask(page, "Write a class that counts words.")
    page.wait(f"{BODY}?.innerText.length > 20 && document.querySelector('#stop').checkVisibility()")
    before = page.look(f"{BODY}.innerText.length")
    page.wait(f"{BODY}.innerText.length > {before}")
    page.click("#stop")
    page.wait_text("article.answer", "Stopped.")
    assert wait_until(lambda: not chat_model_of(server)["n_requests"], PATIENCE_S)
    n_generated = chat_model_of(server)["n_generated_total"] - n_generated_before
    assert 0 < n_generated < MAX_TOKENS
    assert not page.is_shown("#stop")


def test_a_tab_that_is_closed_stops_its_answer(wire: Wire, server: Served) -> None:
    n_generated_before = chat_model_of(server)["n_generated_total"]
    with tab(wire) as page:
        page.open(server.url)
        page.wait_text("#connection", "Ready")
        ask(page, "Write a class that counts words.")
        page.wait(f"{BODY}?.innerText.length > 0")
    assert wait_until(lambda: not chat_model_of(server)["n_requests"], PATIENCE_S)
    assert chat_model_of(server)["n_generated_total"] - n_generated_before < MAX_TOKENS


def test_too_much_at_once_is_told_and_is_no_server_that_has_gone(page: Tab, tmp_path: Path) -> None:
    (tmp_path / "large.txt").write_text('\t"' * 299_000)  # twice as large in JSON
    page.choose_files("#files", tmp_path / "large.txt")
    page.wait_text("#file-list", "large.txt")
    ask(page, "Hello")
    page.wait_text("#chat-error", "more than 1 MB")
    assert not page.is_shown("#gone")
    assert page.look("document.querySelector('#question').value") == "Hello"


def test_a_whole_answer_says_what_it_cost_and_is_read_out_in_parts(
    wire: Wire, served: Served
) -> None:
    with tab(wire) as page:
        page.open(served.url)
        page.wait_text("#connection", "Ready")
        ask(page, "Hello")
        page.wait(ANSWERED)
        page.wait_text("article.answer", "1,024 written")
        n_said = page.look("document.querySelectorAll('#announced p').length")
        assert n_said < 60  # of a thousand tokens
        live = page.look("document.querySelector('#announced').getAttribute('aria-live')")
        assert live == "polite"
        assert page.text("article.user").endswith("Hello")
        assert page.complaints() == []


def test_what_the_model_is_shown_stands_above_its_answer(page: Tab, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("OWN_THING = 1\n")
    (tmp_path / ".env").write_text("PASSWORD=hunter2hunter2\n")
    page.choose_files("#files", own, tmp_path / ".env")
    page.wait_text("#file-list", "own.py")
    page.look("document.querySelector('#repository').value = 'house'")
    ask(page, "Whom does the porter let in?")
    page.wait("document.querySelector('article.answer details.context')")
    page.click("article.answer details.context > summary")
    page.wait_text("article.answer .context", "own.py")
    page.wait_text("article.answer .context", "gate.py")
    page.wait_text("article.answer .context", "Left out of .env")
    page.click("#stop")
    page.wait_text("article.answer", "Stopped.")
    assert "hunter2" not in page.look("document.body.textContent")


def test_markdown_is_drawn_and_what_could_do_harm_is_text(page: Tab) -> None:
    hostile = "\n".join(
        [
            "# Title",
            "Some **bold** and `code` and *slanted* <img src=x onerror=alert(1)>",
            "![picture](https://evil.example/a.png) [link](javascript:alert(1))",
            "- one",
            "  - deeper",
            "- two",
            "",
            "3. third",
            "",
            "```python",
            "x = '<b>'",
            "```",
            "<script>document.title = 'bad'</script>",
            "```",
            "unfinished",
        ]
    )
    drawn = page.look(
        f"""import('/page/markdown.js').then(({{rendered}}) => {{
            const place = document.createElement('div');
            place.append(rendered({json.dumps(hostile)}));
            document.body.append(place);
            const tags = [...place.querySelectorAll('*')].map((each) => each.localName);
            const text = place.textContent;
            const codes = [...place.querySelectorAll('pre')].map((each) => each.textContent);
            const start = place.querySelector('ol').start;
            place.remove();
            return {{tags, text, codes, start}};
        }})"""
    )
    assert not {"img", "a", "script", "b", "iframe"} & set(drawn["tags"])
    assert {"h4", "strong", "em", "code", "ul", "ol", "pre", "button"} <= set(drawn["tags"])
    assert "https://evil.example/a.png" in drawn["text"]
    assert "<script>" in drawn["text"]
    assert drawn["codes"] == ["x = '<b>'", "unfinished"]
    assert drawn["start"] == 3
    assert page.look("document.title") == "tabby-lsp"


# Completion.


def test_a_completion_is_shown_with_segments_and_times_and_put_in(page: Tab) -> None:
    page.click("#complete-form .main")
    page.wait_text("#completed-code mark", "= height")
    assert "tokens" in page.text("#timings")
    assert "ms" in page.text("#timings")
    page.click("#given > summary")
    page.wait_text("#segments", "class Box:")
    assert "def area" in page.text("#segments")
    page.click("#insert")
    page.wait("document.querySelector('#code').value.includes('self.height = height')")
    page.press("z", control=True)
    page.wait("!document.querySelector('#code').value.includes('self.height = height')")


def test_no_completion_says_why(page: Tab) -> None:
    page.look("document.querySelector('#code').setSelectionRange(2, 2)")
    page.click("#complete-form .main")
    page.wait_text("#completed-words", "Nothing: ")
    assert not page.is_shown("#completed-code")


# Keys.


def test_a_wrong_key_is_told_at_its_field_and_a_right_one_is_kept_for_the_tab(
    wire: Wire, home: Path, chat_model: Path
) -> None:
    with serving(home, "--host", "0.0.0.0", "--chat-model", str(chat_model)) as locked:
        (path,) = (home / ".local/share").rglob("keys.json")
        right = json.loads(path.read_text())["api"]
        with tab(wire) as page:
            page.open(locked.url.replace("0.0.0.0", "127.0.0.1"))
            page.wait_text("#key", "The key of this server")
            page.wait("document.activeElement.id === 'key-field'")
            assert page.text("#key-error") == ""
            page.type("wrong")
            page.press("Enter")
            page.wait_text("#key-error", "There is no such key.")
            assert page.look("document.querySelector('#key-field').ariaInvalid") == "true"
            page.look("document.querySelector('#key-field').select()")
            page.type(right)
            page.press("Enter")
            page.wait_text("#connection", "Ready")
            assert page.text("#key-error") == ""
            page.call("Page.reload")
            page.wait_text("#connection", "Ready")
            ask(page, "Hello")
            page.wait(f"{BODY}?.innerText.length > 0")
            stored = page.look("[Object.values(sessionStorage), Object.values(localStorage)]")
            assert stored == [[right], []]
            page.click("#forget")
            page.wait_text("#connection", "A key is needed")
            assert page.complaints() == []


# What is missing.


def test_without_a_chat_model_the_command_stands_in_the_place_of_the_chat(
    wire: Wire, home: Path
) -> None:
    with serving(home) as bare, tab(wire) as page:
        page.open(bare.url)
        page.wait_text("#no-chat", "tabby-lsp models pull")
        assert not page.is_shown("#question")
        page.wait_text("#plot", "No suggestion has been counted")
        page.click("#complete-form .main")
        page.wait_text("#completed-code mark", "= height")
        assert page.complaints() == []


def test_a_server_that_goes_is_told_and_what_was_typed_stays_till_it_is_back(
    wire: Wire, home: Path, endless_model: Path
) -> None:
    flags = ("--port", str(free_port()), "--chat-model", str(endless_model))
    with tab(wire) as page:
        with serving(home, *flags) as first:
            page.open(first.url)
            page.wait_text("#connection", "Ready")
            ask(page, "A question that is being answered")
            page.wait(f"{BODY}?.innerText.length > 0")
            first.process.send_signal(signal.SIGKILL)
            first.process.wait(PATIENCE_S)
        page.wait_text("#gone", "does not answer")
        page.wait_text("#chat-error", "The answer is not whole")
        kept = "document.querySelector('#question').value"
        assert page.look(kept) == "A question that is being answered"
        ask(page, ", and more")
        page.wait_text("#chat-error", "Your question is here again.")
        assert page.look(kept).endswith(", and more")
        with serving(home, *flags):
            page.wait_text("#connection", "Ready")
            assert not page.is_shown("#gone")
            assert page.look(kept).endswith(", and more")
            page.click("#question")
            page.press("Enter")
            page.wait("document.querySelectorAll('article.answer').length === 2")
            page.wait("document.querySelectorAll('.body')[1]?.innerText.length > 0")
        assert page.complaints() == []


# For everybody.


def test_everything_is_reached_with_the_keyboard_alone(page: Tab) -> None:
    page.press("Tab")
    assert page.look("document.activeElement.className") == "skip"
    page.press("Enter")
    page.wait("document.activeElement.id === 'question'")
    page.type("Hello")
    page.press("Enter", shift=True)
    page.type("again")
    assert page.look("document.activeElement.value") == "Hello\nagain"
    page.press("Enter")
    page.wait("document.querySelector('#stop').checkVisibility()")
    reached = []
    for _ in range(60):
        page.press("Tab")
        reached.append(page.look("document.activeElement.id || document.activeElement.localName"))
        if reached[-1] == "stop":
            page.press("Space")
            page.wait_text("article.answer", "Stopped.")
        if reached[-1] == "code":
            page.press("Enter", control=True)
            page.wait_text("#completed-code mark", "= height")
        if reached[-1] == "body":
            break
    assert {"stop", "code", "language", "insert", "completed-code", "summary"} <= set(reached)


def test_what_has_the_focus_is_seen(page: Tab) -> None:
    page.press("Tab")
    for _ in range(12):
        page.press("Tab")
        width = page.look(
            "(() => { const at = document.activeElement.closest('.button') ?? "
            "document.activeElement; return getComputedStyle(at).outlineStyle; })()"
        )
        assert width == "solid", page.look("document.activeElement.outerHTML")


def test_every_field_and_button_has_a_name_and_every_region_a_heading(page: Tab) -> None:
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    named = ("button", "textbox", "combobox", "checkbox", "region", "navigation", "link", "image")
    nameless = [
        node
        for node in tree
        if not node.get("ignored")
        and node["role"]["value"] in named
        and not node.get("name", {}).get("value", "").strip()
    ]
    assert nameless == []
    roles = {node["role"]["value"] for node in tree if not node.get("ignored")}
    assert {"banner", "main", "navigation", "region", "status"} <= roles


@pytest.mark.parametrize("width", [320, 360, 768, 1400])
def test_nothing_is_wider_than_the_window(page: Tab, width: int) -> None:
    page.resize(width, 740)
    page.click("#complete-form .main")
    page.wait_text("#completed-code mark", "= height")
    page.look("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    page.wait(f"document.documentElement.scrollWidth === {width}")
    wide = page.look(
        f"[...document.querySelectorAll('main *')].filter((each) => "
        f"!each.closest('pre, .wide, .unseen, #log') && "
        f"each.getBoundingClientRect().right > {width}).map((each) => each.outerHTML)"
    )
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(page: Tab, scheme: str) -> None:
    page.prefer(color_scheme=scheme)
    poor = page.look(CONTRAST)
    assert poor == []
    is_dark = page.look("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert is_dark == (scheme == "dark")


def test_nothing_moves_for_those_who_want_no_motion(page: Tab) -> None:
    look = "getComputedStyle(document.documentElement).scrollBehavior"
    page.prefer(reduced_motion="reduce")
    assert page.look(look) == "auto"
    page.prefer(reduced_motion="no-preference")
    assert page.look(look) == "smooth"


def test_the_plot_says_what_it_shows_and_has_a_table_beside_it(page: Tab) -> None:
    page.wait("document.querySelectorAll('#day-table tbody tr').length === 14")
    words = page.look("document.querySelector('#plot svg[role=img]').ariaLabel")
    assert "3 suggestions were shown, 1 accepted and 1 typed along" in words
    heights = page.look(
        "['accepted', 'typed', 'shown'].map((kind) => [...document.querySelectorAll("
        "`#plot rect.${kind}`)].reduce((sum, each) => sum + each.height.baseVal.value, 0))"
    )
    assert heights[0] == pytest.approx(heights[1]) == pytest.approx(heights[2])
    assert heights[0] > 10


def test_the_blocks_for_editors_name_this_server(page: Tab, server: Served) -> None:
    codes = page.look("[...document.querySelectorAll('#connect pre')].map((e) => e.textContent)")
    assert sum(server.url in code for code in codes) == 4
    assert not any("URL" in code for code in codes)


# Texts whose colour is less than 4.5 times as bright, or dark, as what they stand on (WCAG AA).
CONTRAST = """(() => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const brightness = (colour) => {
        const [r, g, b] = parts(colour).map((each) => each / 255)
            .map((each) => (each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (at) => {
        for (; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if ((parts(colour)[3] ?? 1) === 1) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const poor = [];
    for (let node; (node = walker.nextNode()); ) {
        const at = node.parentElement;
        if (!node.data.trim() || !at.checkVisibility()) continue;
        const [a, b] = [brightness(getComputedStyle(at).color), brightness(ground(at))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) poor.push([node.data.trim(), contrast]);
    }
    return poor;
})()"""
