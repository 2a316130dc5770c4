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
