--- A suggestion and what is left of it while the user types. Reads buffers and changes nothing.

local api = vim.api

local M = {}

---@param bufnr integer
---@param row integer
---@return string
local function line_at(bufnr, row)
  return api.nvim_buf_get_lines(bufnr, row, row + 1, true)[1]
end

--- Byte columns and rows count from 0.
---@class tabby_lsp.Suggestion
---@field client_id integer
---@field bufnr integer
---@field n_lines integer of the buffer, when the suggestion came
---@field row integer where `text` begins
---@field col integer
---@field before string the line up to there, and then `text`
---@field replaced string what `text` takes the place of, when the suggestion came
---@field beyond string the rest of the line after that
---@field command? lsp.Command to be run when all of it was accepted

--- What would be inserted at the cursor now.
---@class tabby_lsp.Rest
---@field row integer the cursor's
---@field col integer
---@field text string never empty
---@field replaced string what stands right of the cursor and will stand in `text`
---@field beyond string the rest of the line after that

---@class tabby_lsp.Piece
---@field offset integer bytes of the replaced text left of the piece
---@field text string

--- nil where the item cannot be shown: no plain text, or a range that does not hold the cursor.
---@param item lsp.InlineCompletionItem
---@param client vim.lsp.Client
---@param bufnr integer
---@param row integer the cursor's
---@param col integer
---@return tabby_lsp.Suggestion?
function M.new(item, client, bufnr, row, col)
  local text = item.insertText
  if type(text) ~= 'string' then
    return
  end
  local line = line_at(bufnr, row)
  local first, last = col, col
  if item.range then
    local start, stop = item.range.start, item.range['end']
    if start.line ~= row or stop.line ~= row then
      return
    end
    first = vim.str_byteindex(line, client.offset_encoding, start.character, false)
    last = vim.str_byteindex(line, client.offset_encoding, stop.character, false)
  end
  if first > col then
    return
  end
  last = math.max(last, col)
  return {
    client_id = client.id,
    bufnr = bufnr,
    n_lines = api.nvim_buf_line_count(bufnr),
    row = row,
    col = first,
    -- Neovim's lines have no "\r", also where the file and so the server's answer have.
    before = line:sub(1, first) .. text:gsub('\r\n?', '\n'),
    replaced = line:sub(col + 1, last),
    beyond = line:sub(last + 1),
    command = item.command,
  }
end

--- What is left of a suggestion with the cursor at (`row`, `col`); nil where something else was typed
--- since, or all of it.
---@param suggestion tabby_lsp.Suggestion
---@param row integer
---@param col integer
---@return tabby_lsp.Rest?
function M.rest(suggestion, row, col)
  local n_new_lines = api.nvim_buf_line_count(suggestion.bufnr) - suggestion.n_lines
  local is_left_of_it = row == suggestion.row and col < suggestion.col
  if row - suggestion.row ~= n_new_lines or row < suggestion.row or is_left_of_it then
    return
  end
  local typed =
    table.concat(api.nvim_buf_get_text(suggestion.bufnr, suggestion.row, 0, row, col, {}), '\n')
  local after = line_at(suggestion.bufnr, row):sub(col + 1)
  local is_typed_along = #typed < #suggestion.before and vim.startswith(suggestion.before, typed)
  if not is_typed_along or not vim.endswith(after, suggestion.beyond) then
    return
  end
  local text = suggestion.before:sub(#typed + 1)
  -- An editor puts closing brackets there, and typing over them takes them away again.
  local replaced = after:sub(1, #after - #suggestion.beyond)
  local _, unmatched = M.align(text, replaced)
  if replaced ~= suggestion.replaced and unmatched ~= '' then
    return
  end
  return { row = row, col = col, text = text, replaced = replaced, beyond = suggestion.beyond }
end

--- What `text` adds to `replaced`: with the pieces in their places, `replaced` reads as `text`.
--- Matched from the end, since what is replaced are mostly closing brackets.
---@param text string
---@param replaced string
---@return tabby_lsp.Piece[] pieces from left to right
---@return string unmatched the beginning of `replaced` that does not stand in `text`
function M.align(text, replaced)
  local pieces, piece, unmatched = {}, '', replaced
  local function put()
    if piece ~= '' then
      table.insert(pieces, 1, { offset = #unmatched, text = piece })
      piece = ''
    end
  end
  local characters = vim.fn.split(text, [[\zs]])
  for i = #characters, 1, -1 do
    if unmatched ~= '' and vim.endswith(unmatched, characters[i]) then
      put()
      unmatched = unmatched:sub(1, -#characters[i] - 1)
    else
      piece = characters[i] .. piece
    end
  end
  put()
  return pieces, unmatched
end

return M
