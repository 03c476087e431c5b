"""Markdown on the page: the same however it is cut, and what is done stays."""

from __future__ import annotations

import random

import pytest

from tests.web.page.chat import MARKDOWN, cut

expect = pytest.importorskip(
    "playwright.async_api", reason="the page is tested with playwright"
).expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


SHAPE = [
    "H2",
    "P(EM,STRONG,CODE,DEL,A,A)",
    "OL(LI(P,UL(LI(P,DIV))),LI(P))",
    "UL(LI(P),LI(P))",
    "BLOCKQUOTE(P(STRONG))",
    "DIV(TABLE(THEAD(TR(TH,TH)),TBODY(TR(TD,TD))))",
    "DIV",
    "HR",
]
SHAPE_OF = """(root) => {
  const shape = (node) => node.className === 'code' ? 'DIV' : node.tagName +
    (node.children.length ? `(${[...node.children].map(shape)})` : '');
  return [...root.querySelectorAll('.md > .chunk > *')].map(shape);
}"""


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_markdown_is_the_same_however_it_is_cut(chat, size):
    await chat.told(*cut(MARKDOWN, size))
    assert await chat.answer.evaluate(SHAPE_OF) == SHAPE
    links = await chat.answer.locator("a").evaluate_all(
        "all => all.map(a => [a.href, a.rel, a.target])"
    )
    assert [link[0] for link in links] == ["https://example.org/a", "https://example.org/b_(c)"]
    assert all("noopener" in rel and target == "_blank" for _, rel, target in links)
    await expect(chat.answer.locator("td").nth(1)).to_have_text("x|y")
    await expect(chat.answer.locator("pre").last).to_have_text("if a < b:\n    pass\n")


async def test_what_is_done_is_not_drawn_again(chat):
    asked = await chat.ask()
    asked.start("First paragraph.\n\nSecond")
    await expect(chat.answer.locator("p").nth(1)).to_have_text("Second")
    await chat.answer.locator("p").first.evaluate("node => { node.dataset.same = 'yes'; }")
    asked.end(" one.\n\nThird\n")
    await chat.settled()
    assert await chat.answer.locator("p").evaluate_all("all => all.map(p => p.dataset.same)") == [
        "yes",
        None,
        None,
    ]


async def test_code_is_copied_as_it_was_written(open_chat):
    chat = await open_chat(permissions=["clipboard-read", "clipboard-write"])
    code = "\tif x:\n" + "y" * 9_000 + "\n\n  end"
    await chat.told(f"```py\n{code}\n```\n")
    await chat.page.get_by_role("button", name="Copy code").click()
    await expect(chat.answer.get_by_text("Copied")).to_be_visible()
    assert await chat.page.evaluate("navigator.clipboard.readText()") == code + "\n"


MARKS = (
    "# ,## ,- ,  - ,1. ,2) ,> ,>> ,```,```py\n,~~~,---\n,*,**,_,__,~~,`,``,"
    "[,],(,],![,|,|-|-|\n,| a | b |\n,- [x] ,\\"
)
BITS = [
    *MARKS.split(","),
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\t",
    "  ",
    "    ",
    "text",
    "word ",
    "a",
    "\u00e9",
    "\U0001f600",
]
BITS += ["](https://e.example/)", "https://x.example/y ", "[1]", "<br>", "&amp;", "y" * 5_000]


async def test_any_text_is_the_same_however_it_is_cut(chat):
    rng = random.Random(8)
    for _ in range(12):
        text = "".join(rng.choices(BITS, k=150)) + "."
        for size in (len(text), rng.randint(1, 40)):
            await chat.told(*cut(text, size))
        drawn = "all => all.slice(-2).map((node) => node.innerHTML)"
        whole, pieces = await chat.page.locator(".md").evaluate_all(drawn)
        assert whole == pieces, text
