if vim.fn.has('nvim-0.11') == 0 then
  return
end

local group = vim.api.nvim_create_augroup('tabby_lsp.plugin', {})

vim.api.nvim_create_autocmd('LspAttach', {
  group = group,
  callback = function(event)
    require('tabby_lsp').attach(event.buf, event.data.client_id)
  end,
})

-- Clients that were there before the plugin was loaded.
for _, client in ipairs(vim.lsp.get_clients({ name = 'tabby_lsp' })) do
  for bufnr in pairs(client.attached_buffers) do
    require('tabby_lsp').attach(bufnr, client.id)
  end
end

vim.api.nvim_create_user_command('TabbyLspToggle', function()
  local is_on = require('tabby_lsp').toggle()
  vim.api.nvim_echo({ { is_on and 'Ghost text is on.' or 'Ghost text is off.' } }, false, {})
end, { desc = 'Switch ghost text on or off' })

--- Ask for what was not given, then go on.
---@param given string
---@param prompt string
---@param go_on fun(text: string)
local function with_text(given, prompt, go_on)
  if given ~= '' then
    return go_on(given)
  end
  vim.ui.input({ prompt = prompt }, function(text)
    if text and text ~= '' then
      go_on(text)
    end
  end)
end

vim.api.nvim_create_user_command('TabbyLspChat', function(command)
  local range = command.range > 0 and { command.line1, command.line2 } or nil
  with_text(command.args, 'Ask: ', function(question)
    require('tabby_lsp.chat').ask(question, range)
  end)
end, { nargs = '*', range = true, desc = 'Ask the chat model, about the lines if there are any' })

vim.api.nvim_create_user_command('TabbyLspEdit', function(command)
  with_text(command.args, 'Change: ', function(instruction)
    require('tabby_lsp.chat').edit(instruction, { command.line1, command.line2 })
  end)
end, { nargs = '*', range = true, desc = 'Have the chat model change the lines' })
