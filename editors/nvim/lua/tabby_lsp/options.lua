--- What can be set, and its defaults.

local M = {}

---@class tabby_lsp.Keys
---@field accept? string|false take all of the ghost text
---@field accept_word? string|false
---@field accept_line? string|false
---@field dismiss? string|false
---@field ask? string|false ask now, also where nothing is offered unasked
---@field next? string|false show another answer
---@field previous? string|false
---@field toggle? string|false

---@class tabby_lsp.Options
---@field automatic? boolean ask after each change; where false, only the key `ask` does
---@field debounce_ms? integer how long a change waits for the next one before it is asked about
---@field keys? tabby_lsp.Keys|false in insert mode; false for none

--- `<Tab>` is everybody's; the others are copilot.vim's, but for the line: some desktops keep
--- <M-C-Right> for themselves.
---@type tabby_lsp.Keys
local KEYS = {
  accept = '<Tab>',
  accept_word = '<M-Right>',
  accept_line = '<M-Down>',
  dismiss = '<C-]>',
  ask = '<M-\\>',
  next = '<M-]>',
  previous = '<M-[>',
  toggle = false,
}

--- 20 ms are shorter than the time between two keys of a fast typist (some 80 ms), so that each key
--- is asked about, and longer than the time between the changes that one key, a macro or a paste
--- makes. More is not needed: the server stops an older request by itself.
---@type tabby_lsp.Options
local DEFAULTS = { automatic = true, debounce_ms = 20, keys = KEYS }

local current = DEFAULTS

---@return tabby_lsp.Options
function M.get()
  return current
end

--- Change some options. Raises an error that names the one that cannot be used.
---@param options tabby_lsp.Options
function M.set(options)
  vim.validate('options', options, 'table')
  for name, value in pairs(options) do
    assert(DEFAULTS[name] ~= nil, ('tabby_lsp: there is no option %q'):format(name))
    if name ~= 'keys' or value then
      vim.validate(name, value, type(DEFAULTS[name]))
    end
  end
  for name, lhs in pairs(options.keys or {}) do
    assert(KEYS[name] ~= nil, ('tabby_lsp: there is no key %q'):format(name))
    assert(not lhs or type(lhs) == 'string', ('tabby_lsp: keys.%s is no key'):format(name))
  end
  current = vim.tbl_deep_extend('force', current, options)
end

return M
