--- Ghost text for Neovim 0.11, which has none of its own: asks while the user types, and keeps what
--- is shown in step with the buffer. One suggestion at most is shown, as there is one cursor.

local draw = require('tabby_lsp.draw')
local options = require('tabby_lsp.options')
local put = require('tabby_lsp.put')
local request = require('tabby_lsp.request')
local suggestion = require('tabby_lsp.suggestion')
local api = vim.api

local M = {}

local GROUP = api.nvim_create_augroup('tabby_lsp.insert', {})
local INVOKED, AUTOMATIC = 1, 2

local timer = assert(vim.uv.new_timer())
local shown ---@type tabby_lsp.Suggestion?
local others = {} ---@type tabby_lsp.Suggestion[] what else may be shown here, the next one first
local is_chosen = false -- whether the user has chosen what is shown
local seen ---@type string? where the user was and what was there when `follow` looked last

local function is_inserting()
  return vim.startswith(api.nvim_get_mode().mode, 'i')
end

--- An entry that is selected in the menu is a proposal of somebody else for the same place.
local function is_menu_in_use()
  return vim.fn.pumvisible() == 1 and vim.fn.complete_info({ 'selected' }).selected >= 0
end

local function hide()
  if shown and api.nvim_buf_is_valid(shown.bufnr) then
    draw.clear(shown.bufnr)
  end
  shown, others, is_chosen = nil, {}, false
end

--- What would be inserted now. Keys that were typed faster than Neovim tells of them count.
---@return tabby_lsp.Rest?
local function current_rest()
  if shown and shown.bufnr == api.nvim_get_current_buf() and is_inserting() then
    local row, col = unpack(api.nvim_win_get_cursor(0))
    return not is_menu_in_use() and suggestion.rest(shown, row - 1, col) or nil
  end
end

local function redraw()
  local rest = current_rest()
  if shown and rest then
    draw.show(shown.bufnr, rest)
  else
    hide()
  end
end

---@param kind integer
---@param on_shown? fun() called when there is an answer
local function ask(kind, on_shown)
  local bufnr = api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ bufnr = bufnr, name = 'tabby_lsp' })[1]
  if not client or not is_inserting() or is_menu_in_use() then
    return
  end
  request.ask(client, kind, function(items)
    local row, col = unpack(api.nvim_win_get_cursor(0))
    local answers = {} ---@type tabby_lsp.Suggestion[]
    for _, item in ipairs(items) do
      table.insert(answers, suggestion.new(item, client, bufnr, row - 1, col))
    end
    local answer = table.remove(answers, 1)
    local rest = answer and suggestion.rest(answer, row - 1, col)
    if shown and is_chosen and current_rest() then
      return
    end
    if shown and rest and vim.deep_equal(rest, current_rest()) then
      -- The older one reaches farther back: what <BS> takes back it shows again at once.
      shown.command = answer.command
      others = answers
    else
      hide()
      shown, others = answer, answers
      redraw()
    end
    if on_shown then
      on_shown()
    end
  end)
end

local function ask_soon()
  if options.get().automatic then
    timer:start(
      options.get().debounce_ms,
      0,
      vim.schedule_wrap(function()
        ask(AUTOMATIC)
      end)
    )
  end
end

--- Follow the user to where he is now.
local function follow()
  local now = request.place() .. tostring(is_menu_in_use())
  if not is_inserting() or now == seen then
    return
  end
  seen = now
  request.cancel()
  redraw()
  ask_soon()
end

local function forget()
  timer:stop()
  request.cancel()
  hide()
  seen = nil
end

---@param bufnr integer
---@param client vim.lsp.Client
function M.attach(bufnr, client)
  api.nvim_clear_autocmds({ group = GROUP, buffer = bufnr })
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = GROUP, buffer = bufnr, callback = callback })
  end
  on({ 'TextChangedI', 'TextChangedP', 'CursorMovedI', 'CompleteChanged' }, follow)
  on('CompleteDone', vim.schedule_wrap(follow)) -- The menu is still open then.
  on('InsertEnter', ask_soon)
  on({ 'InsertLeave', 'BufLeave' }, forget)
  on('LspDetach', function(event)
    if event.data.client_id == client.id then
      forget()
      api.nvim_clear_autocmds({ group = GROUP, buffer = bufnr })
    end
  end)
  follow() -- The user may be typing already.
end

--- Whether something was shown to be accepted.
---@param part tabby_lsp.Part
---@return boolean
function M.accept(part)
  local accepted, rest = shown, current_rest()
  if not accepted or not rest then
    return false
  end
  local is_all = put.put(accepted.bufnr, rest, part)
  follow()
  if is_all then
    put.run_command(accepted)
  end
  return true
end

--- Whether something was shown to be dismissed.
---@return boolean
function M.dismiss()
  local is_shown = current_rest() ~= nil
  timer:stop()
  request.cancel()
  hide()
  return is_shown
end

function M.ask()
  timer:stop()
  ask(INVOKED)
end

--- Show the next of what may stand here, or the one before.
---@param count 1|-1
local function choose(count)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  others = vim.tbl_filter(function(other)
    return suggestion.rest(other, row - 1, col) ~= nil
  end, others)
  if shown and #others > 0 then
    table.insert(others, count > 0 and #others + 1 or 1, shown)
    shown = table.remove(others, count > 0 and 1 or #others)
    is_chosen = true
    redraw()
  end
end

--- The same; asks first where there is no other yet. Whether something was shown.
---@param count 1|-1
---@return boolean
function M.choose(count)
  if not current_rest() then
    return false
  end
  if #others > 0 then
    choose(count)
  else
    timer:stop()
    ask(INVOKED, function()
      choose(count)
    end)
  end
  return true
end

---@param is_on boolean
function M.switch(is_on)
  forget()
  if is_on then
    follow()
  end
end

return M
