--- Ghost text from `tabby-lsp`: the functions that a configuration may call. See |tabby_lsp|.

local options = require('tabby_lsp.options')
local parts = require('tabby_lsp.parts')

local M = {}

local face = require(vim.lsp.inline_completion and 'tabby_lsp.builtin' or 'tabby_lsp.insert')

--- Change options; not needed where the defaults do. Keys hold for buffers that the server attaches
--- to afterwards.
---@param opts? tabby_lsp.Options
function M.setup(opts)
  options.set(opts or {})
end

--- Accept all of the ghost text. Whether there was any.
---@return boolean
function M.accept()
  return face.accept(parts.all)
end

--- Accept the next word of it.
---@return boolean
function M.accept_word()
  return face.accept(parts.word)
end

--- Accept the next line of it.
---@return boolean
function M.accept_line()
  return face.accept(parts.line)
end

--- Remove it until the next change. Whether there was any.
---@return boolean
function M.dismiss()
  return face.dismiss()
end

--- Ask now, also where nothing is offered unasked: in the middle of code, or switched off.
---@return boolean true
function M.ask()
  face.ask()
  return true
end

--- Show another answer in its place, of up to three. Whether there was any.
---@return boolean
function M.next()
  return face.choose(1)
end

--- Show the one before.
---@return boolean
function M.previous()
  return face.choose(-1)
end

--- Switch ghost text on or off in all buffers. Whether it is on now.
---@return boolean
function M.toggle()
  local is_on = not options.get().automatic
  options.set({ automatic = is_on })
  face.switch(is_on)
  return is_on
end

--- Called for each buffer that a language server has attached to.
---@param bufnr integer
---@param client_id integer
function M.attach(bufnr, client_id)
  local client = vim.lsp.get_client_by_id(client_id)
  if client and client.name == 'tabby_lsp' then
    face.attach(bufnr, client)
    require('tabby_lsp.keys').map(bufnr, M)
  end
end

return M
