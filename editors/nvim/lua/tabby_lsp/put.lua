--- Puts accepted text into the buffer, as one step of the undo history.

local suggestion = require('tabby_lsp.suggestion')
local api = vim.api

local M = {}

--- Put a part, or all; whether it was all. What the whole would replace stays, as far as it stands in
--- the text that is still to come.
---@param bufnr integer the current one
---@param rest tabby_lsp.Rest
---@param part tabby_lsp.Part
---@return boolean
function M.put(bufnr, rest, part)
  local text = part(rest.text)
  local _, replaced = suggestion.align(rest.text:sub(#text + 1), rest.replaced)
  local lines = vim.split(text, '\n', { plain = true })
  local row, col = rest.row, rest.col
  -- Setting the option, even to the same value, closes the undo step that typing has opened.
  vim.bo[bufnr].undolevels = vim.bo[bufnr].undolevels
  api.nvim_buf_set_text(bufnr, row, col, row, col + #replaced, lines)
  local last_col = #lines[#lines] + (#lines == 1 and col or 0)
  api.nvim_win_set_cursor(0, { row + #lines, last_col })
  -- What is typed next is a step of its own, before it any key that is waiting already.
  api.nvim_feedkeys(vim.keycode('<C-g>u'), 'ni', false)
  return text == rest.text
end

--- Tell the server that all of a suggestion was accepted, where it wants to know.
---@param accepted { client_id: integer, command?: lsp.Command }
function M.run_command(accepted)
  local client = vim.lsp.get_client_by_id(accepted.client_id)
  if client and accepted.command then
    -- The default handler would show an error, and nobody could do anything about it.
    client:exec_cmd(accepted.command, { bufnr = api.nvim_get_current_buf() }, function() end)
  end
end

return M
