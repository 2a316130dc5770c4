---@type vim.lsp.Config
return {
  cmd = { 'tabby-lsp', '--stdio' },
  -- What the model that comes with the program knows. With another model, name your languages:
  -- `vim.lsp.config('tabby_lsp', { filetypes = { 'python', 'go', 'lua' } })`.
  -- Without a list Neovim would hand every file to the server, logs of a gigabyte included.
  filetypes = { 'python' },
  root_markers = { '.git', 'pyproject.toml' },
  -- Neovim announces this from 0.12 on; before, the plugin beside this file draws what comes.
  capabilities = {
    textDocument = { inlineCompletion = { dynamicRegistration = false } },
  },
}
