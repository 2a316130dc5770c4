// Asks a server as go-tabbyapi a08e435 does (its 31 calls, its headers, its way of reading), and
// prints one JSON object: what became of each call, by its name there.
//
// go-tabbyapi itself is not at hand where there is no network; what it sends and how it reads was
// written down from runs of it. An answer that it would not take is an error here too.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

type outcome struct {
	Status  int             `json:"status"`
	Error   string          `json:"error,omitempty"`  // what the client would return
	Code    string          `json:"code,omitempty"`   // of an error that the server told
	Events  int             `json:"events,omitempty"` // of a stream
	Answer  json.RawMessage `json:"answer,omitempty"`
	Message string          `json:"message,omitempty"`
}

type client struct {
	base, header, key string
	http              *http.Client
}

type call struct {
	name, method, path string
	body               any
	into               func() any // what the answer is parsed into; nil where it is thrown away
	isStream           bool
}

// What go-tabbyapi parses, by the fields that it has.

type card struct {
	ID         string         `json:"id"`
	Object     string         `json:"object"`
	Created    int64          `json:"created"`
	OwnedBy    string         `json:"owned_by"`
	Parameters map[string]any `json:"parameters"`
}

type cards struct {
	Object string `json:"object"`
	Data   []card `json:"data"`
}

type health struct {
	Status string `json:"status"`
	Issues []struct {
		Time        string `json:"time"`
		Description string `json:"description"`
	} `json:"issues"`
}

type permission struct {
	Permission string `json:"permission"`
}

type props struct {
	TotalSlots   int    `json:"total_slots"`
	ChatTemplate string `json:"chat_template"`
	Defaults     struct {
		NCtx int `json:"n_ctx"`
	} `json:"default_generation_settings"`
}

type loaded struct {
	ModelType string `json:"model_type"`
	Module    int    `json:"module"`
	Modules   int    `json:"modules"`
	Status    string `json:"status"`
}

type downloaded struct {
	DownloadPath string `json:"download_path"`
}

type names struct {
	Object string   `json:"object"`
	Data   []string `json:"data"`
}

type adapters struct {
	Object string `json:"object"`
	Data   []struct {
		ID      string  `json:"id"`
		Scaling float64 `json:"scaling"`
	} `json:"data"`
}

type changed struct {
	Success []string `json:"success"`
	Failure []string `json:"failure"`
}

type encoded struct {
	Tokens []int `json:"tokens"`
	Length int   `json:"length"`
}

type decoded struct {
	Text string `json:"text"`
}

type overrides struct {
	SelectedPreset string         `json:"selected_preset"`
	Overrides      map[string]any `json:"overrides"`
	Presets        []string       `json:"presets"`
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

type choice struct {
	Index        int    `json:"index"`
	Text         string `json:"text"`
	FinishReason string `json:"finish_reason"`
	Message      struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	} `json:"message"`
	Delta struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	} `json:"delta"`
}

type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage"`
}

type vectors struct {
	Object string `json:"object"`
	Model  string `json:"model"`
	Data   []struct {
		Object    string `json:"object"`
		Embedding any    `json:"embedding"`
		Index     int    `json:"index"`
	} `json:"data"`
	Usage usage `json:"usage"`
}

type told struct {
	Message   string `json:"message"`
	Details   any    `json:"details"`
	RequestID string `json:"request_id"`
}

func codeOf(status int) string {
	codes := map[int]string{400: "invalid_request", 401: "authentication_error",
		403: "permission_error", 404: "not_found", 429: "rate_limit_exceeded"}
	if code, isKnown := codes[status]; isKnown {
		return code
	}
	if status >= 500 {
		return "server_error"
	}
	return "api_error"
}

func (c *client) do(one call) outcome {
	var body io.Reader
	if one.body != nil {
		sent, err := json.Marshal(one.body)
		if err != nil {
			return outcome{Error: err.Error()}
		}
		body = bytes.NewReader(sent)
	}
	request, err := http.NewRequest(one.method, c.base+one.path, body)
	if err != nil {
		return outcome{Error: err.Error()}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if c.header != "" {
		request.Header.Set(c.header, c.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return outcome{Error: err.Error()}
	}
	defer response.Body.Close()
	found := outcome{Status: response.StatusCode}
	if response.StatusCode < 200 || response.StatusCode >= 300 {
		return c.refused(response, found)
	}
	if one.isStream {
		return c.stream(response, one, found)
	}
	read, err := io.ReadAll(response.Body)
	if err != nil {
		found.Error = err.Error()
	} else if one.into != nil {
		found.Error = parsed(read, one.into())
		found.Answer = read
	}
	return found
}

func (c *client) refused(response *http.Response, found outcome) outcome {
	said := told{}
	read, _ := io.ReadAll(response.Body)
	if problem := parsed(read, &said); problem != "" {
		found.Error = problem
	}
	found.Code, found.Message = codeOf(response.StatusCode), said.Message
	if said.Message == "" || said.RequestID == "" {
		found.Error = "an error without a message or a number"
	}
	return found
}

// As its StreamReader: lines up to "\n"; an end within a line is the end of the stream; everything
// else that is no event of JSON is an error.
func (c *client) stream(response *http.Response, one call, found outcome) outcome {
	reader := bufio.NewReader(response.Body)
	for {
		line, err := reader.ReadString('\n')
		if err == io.EOF {
			return found
		}
		if err != nil {
			found.Error = err.Error()
			return found
		}
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		data, isEvent := strings.CutPrefix(line, "data: ")
		if !isEvent {
			found.Error = "not an event: " + line
			return found
		}
		if problem := parsed([]byte(data), one.into()); problem != "" {
			found.Error = problem
			return found
		}
		found.Events++
		found.Answer = json.RawMessage(data)
	}
}

func parsed(read []byte, into any) string {
	if err := json.Unmarshal(read, into); err != nil {
		return fmt.Sprintf("failed to unmarshal: %v", err)
	}
	return ""
}

func calls(chat string) []call {
	type M = map[string]any
	card := func() any { return &card{} }
	cards := func() any { return &cards{} }
	names := func() any { return &names{} }
	adapters := func() any { return &adapters{} }
	loaded := func() any { return &loaded{} }
	completion := func() any { return &completion{} }
	messages := []M{{"role": "user", "content": "say it"}}
	return []call{
		{"Health.Check", "GET", "/health", nil, func() any { return &health{} }, false},
		{"Auth.GetPermission", "GET", "/v1/auth/permission", nil, func() any { return &permission{} }, false},
		{"Models.List", "GET", "/v1/models", nil, cards, false},
		{"Models.Load", "POST", "/v1/models/load", M{"model_name": chat}, loaded, false},
		{"Models.LoadStream", "POST", "/v1/models/load", M{"model_name": chat}, loaded, true},
		{"Models.Get", "GET", "/v1/models/current", nil, card, false},
		{"Models.GetProps", "GET", "/v1/models/props", nil, func() any { return &props{} }, false},
		{"Models.Download", "POST", "/v1/models/download", M{"repo_id": "no/such"}, func() any { return &downloaded{} }, false},
		{"Models.ListDraft", "GET", "/v1/models/draft", nil, cards, false},
		{"Models.ListEmbedding", "GET", "/v1/models/embedding", nil, cards, false},
		{"Models.GetEmbedding", "GET", "/v1/models/embedding/current", nil, card, false},
		{"Models.LoadEmbedding", "POST", "/v1/models/embedding/load", M{"embedding_model_name": "no-such"}, loaded, false},
		{"Models.UnloadEmbedding", "DELETE", "/v1/models/embedding/current", nil, nil, false},
		{"Lora.List", "GET", "/v1/loras", nil, adapters, false},
		{"Lora.GetActive", "GET", "/v1/loras/active", nil, adapters, false},
		{"Lora.Load", "POST", "/v1/loras/load", M{"loras": []M{{"name": "a", "scaling": 1.0}}}, func() any { return &changed{} }, false},
		{"Lora.Unload", "DELETE", "/v1/loras/active", nil, nil, false},
		{"Tokens.Encode", "POST", "/v1/tokens/encode", M{"text": "def a():"}, func() any { return &encoded{} }, false},
		{"Tokens.Decode", "POST", "/v1/tokens/decode", M{"tokens": []int{5, 6}}, func() any { return &decoded{} }, false},
		{"Templates.List", "GET", "/v1/templates", nil, names, false},
		{"Templates.Switch", "POST", "/v1/templates/switch", M{"prompt_template_name": "chatml"}, nil, false},
		{"Templates.Unload", "DELETE", "/v1/templates/active", nil, nil, false},
		{"Sampling.List", "GET", "/v1/sampler/overrides", nil, func() any { return &overrides{} }, false},
		{"Sampling.Switch", "POST", "/v1/sampler/overrides/switch", M{"preset": "safe"}, nil, false},
		{"Sampling.Unload", "DELETE", "/v1/sampler/overrides/active", nil, nil, false},
		{"Completions.Create", "POST", "/v1/completions", M{"prompt": "def a", "max_tokens": 4}, completion, false},
		{"Completions.CreateStream", "POST", "/v1/completions", M{"prompt": "def a", "max_tokens": 4, "stream": true}, completion, true},
		{"Chat.Create", "POST", "/v1/chat/completions", M{"messages": messages, "max_tokens": 4}, completion, false},
		{"Chat.CreateStream", "POST", "/v1/chat/completions", M{"messages": messages, "max_tokens": 4, "stream": true}, completion, true},
		{"Embeddings.Create", "POST", "/v1/embeddings", M{"input": []string{"a", "b"}}, func() any { return &vectors{} }, false},
		{"Models.Unload", "DELETE", "/v1/models/current", nil, nil, false},
	}
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "client URL CHAT-MODEL HEADER KEY")
		os.Exit(2)
	}
	key := os.Args[4]
	if os.Args[3] == "Authorization" {
		key = "Bearer " + key
	}
	one := client{os.Args[1], os.Args[3], key, &http.Client{Timeout: 300 * time.Second}}
	found := map[string]outcome{}
	for _, each := range calls(os.Args[2]) {
		found[each.name] = one.do(each)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
