-- A language server inside Neovim that answers when the test says so, late and in any order, and
-- that does not stop what it is told to cancel. A real one cannot be made to do that at will.

local M = { questions = {}, n_cancelled = 0 }

local CAPABILITIES = {
  positionEncoding = 'utf-8',
  inlineCompletionProvider = { workDoneProgress = false },
  textDocumentSync = { openClose = true, change = 1 },
}

--- Answer the question of this number: with a text, with `false` for no items, with `vim.NIL` for
--- null, or with an error.
function M.answer(number, text, error)
  local question = M.questions[number]
  local at = { start = question.position, ['end'] = question.position }
  local items = text and { { insertText = text, range = at } } or {}
  local result = text ~= vim.NIL and { items = items } or nil
  question.reply(error ~= vim.NIL and error or nil, result)
end

function M.kinds()
  return vim.tbl_map(function(question)
    return question.kind
  end, M.questions)
end

local n_requests = 0

vim.lsp.config('tabby_lsp', {
  cmd = function()
    return {
      request = function(method, params, callback, on_reply)
        n_requests = n_requests + 1
        local id = n_requests
        local function reply(error, result)
          callback(error, result)
          if on_reply then
            on_reply(id)
          end
        end
        if method == 'initialize' then
          reply(nil, { capabilities = CAPABILITIES })
        elseif method == 'textDocument/inlineCompletion' then
          local kind = params.context.triggerKind
          table.insert(M.questions, { position = params.position, kind = kind, reply = reply })
        else
          reply(nil, nil)
        end
        return true, id
      end,
      notify = function(method)
        M.n_cancelled = M.n_cancelled + (method == '$/cancelRequest' and 1 or 0)
        return true
      end,
      is_closing = function()
        return false
      end,
      terminate = function() end,
    }
  end,
})

return M
