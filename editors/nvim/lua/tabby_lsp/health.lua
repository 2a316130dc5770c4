--- `:checkhealth tabby_lsp`: is everything there, and why was nothing shown?

local options = require('tabby_lsp.options')
local health = vim.health

local M = {}

local TIMEOUT_MS = 2000
local N_DECISIONS = 5

---@param client vim.lsp.Client
---@param command string
---@param argument? table
---@return table? result nil where the server does not answer
local function run(client, command, argument)
  local params = { command = command, arguments = { argument } }
  local answer = client:request_sync('workspace/executeCommand', params, TIMEOUT_MS)
  return answer and answer.result or nil
end

local function check_neovim()
  if vim.lsp.inline_completion then
    health.ok('Neovim draws the ghost text.')
  else
    health.ok('The plugin draws the ghost text; Neovim 0.12 and newer do it by themselves.')
  end
  if not options.get().automatic then
    health.warn('Ghost text is switched off.', { ':TabbyLspToggle' })
  end
end

local function check_configuration()
  local config = vim.lsp.config.tabby_lsp
  if not config then
    health.error('There is no configuration.', { 'Is editors/nvim in your runtimepath?' })
    return
  end
  local cmd = config.cmd
  if type(cmd) == 'table' and vim.fn.executable(cmd[1]) == 0 then
    health.error(('`%s` is not in the PATH of Neovim.'):format(cmd[1]), {
      "Install it in your checkout: uv tool install '.[local]'",
      "or say where it is: vim.lsp.config('tabby_lsp', { cmd = { '/path/to/tabby-lsp' } })",
    })
  end
  if vim.lsp.is_enabled('tabby_lsp') then
    local filetypes = config.filetypes and table.concat(config.filetypes, ', ') or 'all'
    health.ok('Enabled for these filetypes: ' .. filetypes)
  else
    health.error('Not enabled.', { "vim.lsp.enable('tabby_lsp')" })
  end
end

---@param client vim.lsp.Client
local function check_client(client)
  local status = run(client, 'tabby.status')
  local engine = status and status.engine
  if not engine then
    health.error(('Client %d does not answer.'):format(client.id), { vim.lsp.log.get_filename() })
    return
  end
  local say = engine.state == 'failed' and health.error or health.ok
  local text = 'Client %d: tabby-lsp %s, model %s: %s. %s'
  say(text:format(client.id, status.version, engine.model, engine.state, engine.message))
  health.info('Settings: ' .. status.config)
  local inspected = run(client, 'tabby.inspect', { n = N_DECISIONS }) or { decisions = {} }
  for _, decision in ipairs(inspected.decisions) do
    health.info(
      ('%s:%d:%d: %s (%s), %.0f ms'):format(
        vim.fn.fnamemodify(vim.uri_to_fname(decision.uri), ':t'),
        decision.position.line + 1,
        decision.position.character + 1,
        decision.outcome,
        decision.reason,
        decision.timings.total_ms
      )
    )
  end
end

function M.check()
  health.start('tabby_lsp: Neovim')
  if vim.fn.has('nvim-0.11') == 0 then
    health.error('Neovim 0.11 or newer is needed.')
    return
  end
  check_neovim()
  check_configuration()
  health.start('tabby_lsp: servers that run, and their last answers')
  local clients = vim.lsp.get_clients({ name = 'tabby_lsp' })
  if #clients == 0 then
    health.warn('None.', { 'Open a file of one of the filetypes first.' })
  end
  vim.iter(clients):each(check_client)
end

return M
