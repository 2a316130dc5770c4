--- A conversation with the chat model in a window of its own, and orders to change code.

local api = vim.api

local M = {}

local NAME = 'tabby-lsp chat'

---@class tabby_lsp.Conversation
---@field bufnr integer
---@field messages { role: string, content: string }[]
---@field id? string of the answer that is being written
---@field client? vim.lsp.Client who writes it
---@field request? integer
local talk = nil ---@type tabby_lsp.Conversation?

---@param text string
local function tell(text)
  api.nvim_echo({ { text, 'WarningMsg' } }, true, {})
end

---@return vim.lsp.Client?
local function client_of(bufnr)
  local client = vim.lsp.get_clients({ name = 'tabby_lsp', bufnr = bufnr })[1]
    or vim.lsp.get_clients({ name = 'tabby_lsp' })[1]
  if not client then
    tell('tabby-lsp does not run: open a file first.')
  end
  return client
end

--- Append to the conversation, and keep windows at its end where they were there.
---@param text string
local function append(text)
  if not (talk and api.nvim_buf_is_loaded(talk.bufnr)) then
    return
  end
  local bufnr = talk.bufnr
  local last = api.nvim_buf_line_count(bufnr)
  local at_end = vim.tbl_filter(function(win)
    return api.nvim_win_get_cursor(win)[1] == last
  end, vim.fn.win_findbuf(bufnr))
  vim.bo[bufnr].modifiable = true
  api.nvim_buf_set_text(bufnr, -1, -1, -1, -1, vim.split(text, '\n', { plain = true }))
  vim.bo[bufnr].modifiable = false
  for _, win in ipairs(at_end) do
    api.nvim_win_set_cursor(win, { api.nvim_buf_line_count(bufnr), 0 })
  end
end

--- Stop the answer that is being written. Neovim tells nobody of an answer that was cancelled.
function M.stop()
  if talk and talk.client and talk.request then
    talk.client:cancel_request(talk.request)
    talk.id, talk.request = nil, nil
    table.remove(talk.messages) -- the question, since it has no answer
    append(' *(stopped)*')
  end
end

---@return tabby_lsp.Conversation
local function opened()
  if talk and not api.nvim_buf_is_loaded(talk.bufnr) then
    -- `:bdelete` leaves a buffer that has lost its options and keeps its name.
    if api.nvim_buf_is_valid(talk.bufnr) then
      api.nvim_buf_delete(talk.bufnr, { force = true })
    end
    talk = nil
  end
  if not talk then
    local bufnr = api.nvim_create_buf(false, true)
    api.nvim_buf_set_name(bufnr, NAME)
    vim.bo[bufnr].filetype = 'markdown'
    vim.bo[bufnr].modifiable = false
    vim.keymap.set('n', '<C-c>', M.stop, { buffer = bufnr, desc = 'Stop the answer' })
    talk = { bufnr = bufnr, messages = {} }
  end
  if #vim.fn.win_findbuf(talk.bufnr) == 0 then
    local window = api.nvim_open_win(talk.bufnr, false, { split = 'right', win = 0 })
    vim.wo[window].wrap = true
    vim.wo[window].linebreak = true
  end
  return talk
end

---@param bufnr integer
---@param range? { [1]: integer, [2]: integer } first and last line, from 1
---@return table?
local function context_of(bufnr, range)
  local uri = vim.uri_from_bufnr(bufnr)
  if not range then
    return nil
  end
  return {
    uri = uri,
    range = {
      start = { line = range[1] - 1, character = 0 },
      ['end'] = { line = range[2], character = 0 },
    },
  }
end

--- Ask the chat model; the lines of `range` are what the question is about.
---@param question string
---@param range? { [1]: integer, [2]: integer }
function M.ask(question, range)
  local bufnr = api.nvim_get_current_buf()
  local client = client_of(bufnr)
  if not client then
    return
  end
  M.stop()
  local now = opened()
  local context = context_of(bufnr, range)
  table.insert(now.messages, { role = 'user', content = question })
  now.id = ('%d-%d'):format(vim.uv.hrtime(), #now.messages)
  append(('%s**%s**\n\n'):format(#now.messages > 1 and '\n\n' or '', question))
  local id = now.id
  local argument = { id = id, messages = vim.deepcopy(now.messages), context = context }
  local params = { command = 'tabby.chat', arguments = { argument } }
  local _, request = client:request('workspace/executeCommand', params, function(error, result)
    if result then
      table.insert(now.messages, result.message)
    else
      table.remove(now.messages) -- the question, since it has no answer
      append(('> %s'):format(error.message))
    end
    if now.id == id then
      now.id, now.request = nil, nil
    end
  end, bufnr)
  now.client, now.request = client, request
end

--- Change the lines of `range` as the instruction says.
---@param instruction string
---@param range { [1]: integer, [2]: integer }
function M.edit(instruction, range)
  local bufnr = api.nvim_get_current_buf()
  local client = client_of(bufnr)
  if not client then
    return
  end
  local argument = context_of(bufnr, range) --[[@as table]]
  argument.instruction = instruction
  local params = { command = 'tabby.edit', arguments = { argument } }
  client:request('workspace/executeCommand', params, function(error)
    if error then
      tell(error.message)
    end
  end, bufnr)
end

vim.lsp.handlers['tabby/chat/delta'] = function(_, params)
  if talk and params.id == talk.id then
    append(params.delta)
  end
end

return M
