--- How much of the ghost text is accepted: each function gives a beginning of it, never empty.

local M = {}

---@alias tabby_lsp.Part fun(text: string): string

-- The blanks before a word belong to it, a line break with its indentation too.
local WORD = [[^\_s*\%(\k\+\|\%(\k\@![^ \t\n]\)\+\)]]

---@param text string
---@return string
function M.all(text)
  return text
end

--- The next word, in the sense of 'iskeyword', or the next run of other characters.
---@param text string
---@return string
function M.word(text)
  local word = vim.fn.matchstr(text, WORD)
  return word ~= '' and word or text
end

--- The rest of the line, or the next line where the text begins with a line break.
---@param text string
---@return string
function M.line(text)
  return (text:match('^\n*[^\n]*'))
end

return M
