--- Draws ghost text: the screen looks as the buffer will look once all of it is accepted.

local suggestion = require('tabby_lsp.suggestion')
local api, width = vim.api, vim.fn.strdisplaywidth

local M = {}

local NAMESPACE = api.nvim_create_namespace('tabby_lsp')
local GHOST = 'TabbyLspGhost'

-- 'NonText': characters that do not exist in the text. Neovim 0.12's own ghost text looks like it.
-- The default colour scheme gives it a colour with 'termguicolors' only; elsewhere it is dark grey.
local hidden = api.nvim_get_hl(0, { name = 'NonText', link = false })
api.nvim_set_hl(0, GHOST, hidden.ctermfg and { default = true, link = 'NonText' } or {
  default = true,
  fg = hidden.fg,
  ctermfg = 8,
})

---@alias tabby_lsp.Chunk { [1]: string, [2]?: string } text and highlight group

--- Neovim counts the columns of a tab in virtual text from where that begins; here it ends where it
--- will end in the buffer.
---@param text string
---@param column integer of the line on the screen, where the text begins
---@return string
local function untabbed(text, column)
  local before, after = text:match('^([^\t]*)\t(.*)$')
  while before do
    local n_blanks = width('\t', column + width(before, column))
    text = before .. (' '):rep(n_blanks) .. after
    before, after = text:match('^([^\t]*)\t(.*)$')
  end
  return text
end

--- One line: each piece before the character that it will stand before.
---@param bufnr integer
---@param rest tabby_lsp.Rest
---@param pieces tabby_lsp.Piece[]
---@param left string the line up to the cursor
local function show_between(bufnr, rest, pieces, left)
  for _, piece in ipairs(pieces) do
    local column = width(left .. rest.replaced:sub(1, piece.offset))
    -- No `hl_mode`: with "combine" the text would take on the colours of a bracket that 'matchparen'
    -- has marked right of it.
    api.nvim_buf_set_extmark(bufnr, NAMESPACE, rest.row, rest.col + piece.offset, {
      virt_text = { { untabbed(piece.text, column), GHOST } },
      virt_text_pos = 'inline',
    })
  end
end

--- Neovim does not scroll to virtual lines below the window.
---@param first tabby_lsp.Chunk[] the line at the cursor
---@param n_below integer how many follow
local function say_how_many_are_hidden(first, n_below)
  local n_hidden = n_below - (vim.fn.winheight(0) - vim.fn.winline())
  if n_hidden > 0 then
    table.insert(first, { (' (%d more below)'):format(n_hidden), GHOST })
  end
end

--- Several lines. The code right of the cursor will stand after the last of them, so it is covered
--- where it is, and drawn there.
---@param bufnr integer
---@param rest tabby_lsp.Rest
---@param left string the line up to the cursor
local function show_lines(bufnr, rest, left)
  local lines = {} ---@type tabby_lsp.Chunk[][]
  local column = width(left)
  for text in vim.gsplit(rest.text, '\n', { plain = true }) do
    table.insert(lines, { { untabbed(text, #lines == 0 and column or 0), GHOST } })
  end
  local right = rest.replaced .. rest.beyond
  local is_covered = vim.trim(right) ~= ''
  if is_covered then
    local n_uncovered = width(right, column) - width(lines[1][1][1])
    local last = lines[#lines]
    local last_column = width(last[1][1]) + (#lines == 1 and column or 0)
    table.insert(last, { untabbed(rest.beyond, last_column) })
    table.insert(lines[1], { (' '):rep(n_uncovered) })
  end
  local first = table.remove(lines, 1)
  say_how_many_are_hidden(first, #lines)
  api.nvim_buf_set_extmark(bufnr, NAMESPACE, rest.row, rest.col, {
    virt_text = first,
    virt_text_pos = is_covered and 'overlay' or 'inline',
    virt_lines = lines,
    virt_lines_overflow = 'scroll',
  })
end

---@param bufnr integer
function M.clear(bufnr)
  api.nvim_buf_clear_namespace(bufnr, NAMESPACE, 0, -1)
end

--- Draw what is left of a suggestion at the current window's cursor, instead of what was there.
---@param bufnr integer
---@param rest tabby_lsp.Rest
function M.show(bufnr, rest)
  M.clear(bufnr)
  local left = api.nvim_buf_get_text(bufnr, rest.row, 0, rest.row, rest.col, {})[1]
  local pieces, unmatched = suggestion.align(rest.text, rest.replaced)
  if unmatched == '' and not rest.text:find('\n') then
    show_between(bufnr, rest, pieces, left)
  else
    show_lines(bufnr, rest, left)
  end
end

return M
