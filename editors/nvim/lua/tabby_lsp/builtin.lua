--- Neovim 0.12 and newer ask and draw by themselves (`vim.lsp.inline_completion`); here is what the
--- keys do there.

local put = require('tabby_lsp.put')
local request = require('tabby_lsp.request')
local options = require('tabby_lsp.options')
local suggestion = require('tabby_lsp.suggestion')
local api = vim.api

local M = {}

local INVOKED = 1

---@param bufnr integer
function M.attach(bufnr)
  vim.lsp.inline_completion.enable(options.get().automatic, { bufnr = bufnr })
end

--- Whether something was shown to be accepted. It is put a moment later.
---@param part tabby_lsp.Part
---@return boolean
function M.accept(part)
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      local bufnr = api.nvim_get_current_buf()
      local client = vim.lsp.get_client_by_id(item.client_id)
      if not client then
        return
      end
      local row, col = unpack(api.nvim_win_get_cursor(0))
      local range = item.range and item.range:to_lsp(client.offset_encoding)
      local raw = { insertText = item.insert_text, range = range }
      local accepted = suggestion.new(raw, client, bufnr, row - 1, col)
      local rest = accepted and suggestion.rest(accepted, row - 1, col)
      if rest and put.put(bufnr, rest, part) then
        put.run_command(item)
      end
    end,
  })
end

--- Whether something was shown to be dismissed.
---@return boolean
function M.dismiss()
  return vim.lsp.inline_completion.get({ on_accept = function() end })
end

--- Neovim asks only by itself. But what the server has once answered here it will answer again.
function M.ask()
  local client = vim.lsp.get_clients({ bufnr = 0, name = 'tabby_lsp' })[1]
  if client then
    request.ask(client, INVOKED, function()
      api.nvim_exec_autocmds('CursorMovedI', { buffer = api.nvim_get_current_buf() })
    end)
  end
end

--- Show the next of what the server has answered, or the one before. Whether that was done.
---@param count 1|-1
---@return boolean
function M.choose(count)
  vim.lsp.inline_completion.select({ count = count })
  return true
end

---@param is_on boolean
function M.switch(is_on)
  for _, client in ipairs(vim.lsp.get_clients({ name = 'tabby_lsp' })) do
    for bufnr in pairs(client.attached_buffers) do
      vim.lsp.inline_completion.enable(is_on, { bufnr = bufnr })
    end
  end
end

return M
