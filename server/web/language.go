package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// languages are those of the pages; the first serves who asks for none of them.
var languages = []string{"en", "ja", "zh"}

// language is an entry of the menu.
type language struct{ Code, Name string }

// names has each language by its own name.
var names = []language{{"en", "English"}, {"ja", "日本語"}, {"zh", "简体中文"}}

// languageCookie holds what was chosen in the menu.
const languageCookie = "hokan_language"

// catalogue has the texts: catalogue[language][key]. A key that begins with
// "html." is for templates only and is not sent to the modules.
type catalogue map[string]map[string]string

func readCatalogue() (catalogue, error) {
	c := catalogue{}
	for _, code := range languages {
		text, err := files.ReadFile("i18n/" + code + ".json")
		if err != nil {
			return nil, err
		}
		texts := map[string]string{}
		if err := json.Unmarshal(text, &texts); err != nil {
			return nil, fmt.Errorf("i18n/%s.json: %w", code, err)
		}
		c[code] = texts
	}
	return c, nil
}

// pageTexts are the texts that modules need.
func (c catalogue) pageTexts(code string) map[string]string {
	texts := map[string]string{}
	for key, text := range c[code] {
		if !strings.HasPrefix(key, "html.") {
			texts[key] = text
		}
	}
	return texts
}

// pickLanguage takes ?lang=, then what was chosen in the menu, then what the
// browser asks for.
func pickLanguage(r *http.Request) string {
	if code := known(r.URL.Query().Get("lang")); code != "" {
		return code
	}
	if cookie, err := r.Cookie(languageCookie); err == nil {
		if code := known(cookie.Value); code != "" {
			return code
		}
	}
	best, bestWeight := languages[0], 0.0
	for _, part := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		tag, parameters, _ := strings.Cut(part, ";")
		weight := 1.0
		if _, q, ok := strings.Cut(parameters, "q="); ok {
			weight, _ = strconv.ParseFloat(strings.TrimSpace(q), 64) // unreadable: 0
		}
		if code := known(strings.TrimSpace(tag)); code != "" && weight > bestWeight {
			best, bestWeight = code, weight
		}
	}
	return best
}

// known returns the language of a tag like ja-JP, or "".
func known(tag string) string {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	for _, code := range languages {
		if code == primary {
			return code
		}
	}
	return ""
}
