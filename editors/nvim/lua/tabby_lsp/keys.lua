--- Keys that do something where there is ghost text, and elsewhere what they did before.

local options = require('tabby_lsp.options')
local api = vim.api

local M = {}

local BEFORE = '<Plug>(tabby-lsp-before)'
local DESCRIPTION = 'tabby-lsp: '

--- The mapping of a key for all buffers, as `maparg()` gives it.
---@param lhs string
---@return table<string, any>?
local function global_mapping(lhs)
  local raw = vim.keycode(lhs)
  for _, mapping in ipairs(api.nvim_get_keymap('i')) do
    if mapping.lhsraw == raw or mapping.lhsrawalt == raw then
      return mapping
    end
  end
end

--- Do what the key did before it was ours.
---@param lhs string
---@param local_mapping? table<string, any> the buffer's own one, if it had one
local function press(lhs, local_mapping)
  local mapping = local_mapping or global_mapping(lhs)
  if not mapping then
    api.nvim_feedkeys(vim.keycode(lhs), 'ni', false)
    return
  end
  -- A mapping is more than what it maps to: flags, a script, a function. So all of it is copied.
  local copy = vim.tbl_extend('force', mapping, { lhs = BEFORE, lhsraw = vim.keycode(BEFORE) })
  copy.lhsrawalt = nil
  vim.fn.mapset('i', false, copy)
  api.nvim_feedkeys(vim.keycode(BEFORE), 'mi', false)
end

---@param bufnr integer
---@param lhs string
---@param description string
---@param action fun(): boolean? whether the key has done its work
local function map(bufnr, lhs, description, action)
  local mapping = api.nvim_buf_call(bufnr, function()
    return vim.fn.maparg(lhs, 'i', false, true)
  end)
  if vim.startswith(mapping.desc or '', DESCRIPTION) then
    return -- The client was restarted.
  end
  local local_mapping = mapping.buffer == 1 and mapping or nil
  vim.keymap.set('i', lhs, function()
    if not action() then
      press(lhs, local_mapping)
    end
  end, { buffer = bufnr, desc = DESCRIPTION .. description })
end

--- Map the keys of the options in a buffer.
---@param bufnr integer
---@param actions table<string, fun(): boolean?> by their names in the options
function M.map(bufnr, actions)
  for name, lhs in pairs(options.get().keys or {}) do
    if lhs then
      map(bufnr, lhs, name:gsub('_', ' '), actions[name])
    end
  end
end

return M
