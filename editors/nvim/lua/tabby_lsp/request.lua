--- Asks the server, and lets nothing through but the answer to the newest question about a place
--- where the user still is.

local api = vim.api

local M = {}

local METHOD = 'textDocument/inlineCompletion'

---@type { client: vim.lsp.Client, id?: integer }?
local pending

--- Where the user is, and in which state of the text.
---@return string
function M.place()
  local bufnr = api.nvim_get_current_buf()
  local row, col = unpack(api.nvim_win_get_cursor(0))
  return table.concat({ bufnr, api.nvim_buf_get_changedtick(bufnr), row, col }, ':')
end

--- Forget the question that is still open, if there is one, and tell the server.
function M.cancel()
  if pending and pending.id then
    pending.client:cancel_request(pending.id)
  end
  pending = nil
end

--- Ask at the cursor. `on_items` gets an empty list where there is nothing to show, and is not called
--- where what is shown may stay.
---@param client vim.lsp.Client
---@param kind lsp.InlineCompletionTriggerKind
---@param on_items fun(items: lsp.InlineCompletionItem[])
function M.ask(client, kind, on_items)
  M.cancel()
  local question = { client = client }
  pending = question
  local place = M.place()
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  ---@cast params lsp.InlineCompletionParams
  params.context = { triggerKind = kind }
  local function on_answer(err, result)
    if pending ~= question then
      return
    end
    pending = nil
    -- null says that a newer question came, and nothing about this place.
    if not err and result and place == M.place() then
      on_items(result.items or result)
    end
  end
  -- The buffer's own number: with 0 Neovim 0.11 sends the request before the change it is about.
  local is_sent, id = client:request(METHOD, params, on_answer, api.nvim_get_current_buf())
  if is_sent and pending == question then
    question.id = id
  end
end

return M
