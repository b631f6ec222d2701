// The catalogue of the page's language: /static/…/i18n/LANGUAGE.js, loaded
// before the modules.
const texts = self.hokanTexts || {};

// The language of the page, as for Intl.
export const lang = document.documentElement.lang || "en";

// t("alarms.saved", { name }) gives the text of a key with {name} filled in.
export function t(key, values) {
  const text = texts[key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;
}
