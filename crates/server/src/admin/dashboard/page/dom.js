// Elements of the page. Every text is set as text: keys and paths are what clients have written,
// and the browser must never read them as markup.

export const byId = (id) => document.getElementById(id);

/** A new element with properties (`class`, `text`, or any attribute) and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "text") made.textContent = value;
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Sets the text of an element, unless it has it: so a selection in it stays. */
export function setText(target, text) {
  const node = typeof target === "string" ? byId(target) : target;
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`, in their order. A child stays the same element
 * while its key stays the same, so that the focus does not move when numbers change. Children that
 * were not made here, such as the head of a table, stay before them.
 */
export function sync(parent, items, keyOf, create, update) {
  const made = [...parent.children].filter((child) => child.dataset.key !== undefined);
  const before = new Map(made.map((child) => [child.dataset.key, child]));
  let place = made[0] ?? null;
  items.forEach((item, index) => {
    const key = keyOf(item, index);
    let child = before.get(key);
    before.delete(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  });
  for (const child of before.values()) child.remove();
}

/** Fills a list of terms and their values. */
export function pairs(list, entries) {
  const create = () => element("div", {}, element("dt"), element("dd"));
  sync(byId(list), entries, ([term]) => term, create, (child, [term, value, tone]) => {
    setText(child.firstElementChild, term);
    setText(child.lastElementChild, value);
    child.lastElementChild.className = tone ?? "";
  });
}

/** A key: its kind, and its value or the beginning of its hash. */
export function keyCell(key) {
  const cell = element("span", { class: "caller" });
  const { kind, value, whole } = keyParts(key);
  cell.append(element("span", { class: "kind", text: kind }));
  cell.append(element("bdi", { class: key.key === undefined ? "hash" : "plain", text: value, title: whole }));
  return cell;
}

/** What is shown of a key, in parts. */
export function keyParts(key) {
  if (!key.kind) return { kind: "everybody", value: "", whole: "one bucket for all" };
  if (key.key === undefined) {
    return { kind: key.kind, value: key.key_hash.slice(0, 12), whole: key.key_hash };
  }
  // A key of one part is shown as `kind value`, and the kind stands beside it already.
  const prefix = `${key.kind} `;
  const value = key.key.startsWith(prefix) ? key.key.slice(prefix.length) : key.key;
  return { kind: key.kind, value, whole: `${key.key} (${key.key_hash})` };
}

/** A key as one text, for labels. */
export function keyText(key) {
  const { kind, value } = keyParts(key);
  return `${kind} ${value}`.trim();
}
