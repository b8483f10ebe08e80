// Refreshes pages while something runs, redirects the addresses that the CLI prints, and signs in by link.
"use strict";

const FORWARDS = [
  [/^#job\/(\d+)\/run\/(\d+)$/, "/jobs/$1/runs/$2"],
  [/^#job\/run\/(\d+)$/, "/jobs/runs/$1"],
  [/^#job\/(\d+)$/, "/jobs/$1"],
  [/^#joblist\/pipelines\/([\w-]+)\/updates\/([\w-]+)$/, "/pipelines/$1/updates/$2"],
  [/^#joblist\/pipelines\/([\w-]+)$/, "/pipelines/$1"],
];

/** The page for a fragment of Databricks' older addresses, as the server does not get fragments. */
function forwarded(fragment) {
  for (const [pattern, target] of FORWARDS) {
    if (pattern.test(fragment)) return fragment.replace(pattern, target);
  }
  return null;
}

function signIn(form) {
  const target = forwarded(location.hash);
  if (target) form.elements.next.value = target;
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.token.value = token;
  form.submit();
}

/** Shows times in the browser's time zone instead of the server's. */
function localize(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    const two = (value) => String(value).padStart(2, "0");
    const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
    element.textContent = `${day} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":")}`;
  }
}

/** Opens the folded section that the address points to. */
function unfold() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target && target.closest("details");
  if (folded && !folded.open) {
    folded.open = true;
    target.scrollIntoView();
  }
}

/** Makes `old` equal to `fresh`, changing only the differences, so that focus, scrolling and folding stay. */
function update(old, fresh) {
  // A task that fails while the page is open shows its error.
  if (fresh.hasAttribute("data-failed") && !old.hasAttribute("data-failed")) old.open = true;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    const isFold = name === "open" && old.localName === "details";
    if (!isFold && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const atEnd = old.localName === "pre" && old.scrollTop + old.clientHeight >= old.scrollHeight - 4;
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const twin = counterpart(next, child);
    if (twin) {
      while (next !== twin) {
        const gone = next;
        next = next.nextSibling;
        gone.remove();
      }
      next = twin.nextSibling;
      if (twin.nodeType === Node.ELEMENT_NODE) update(twin, child);
      else if (twin.data !== child.data) twin.data = child.data;
    } else {
      old.insertBefore(document.importNode(child, true), next);
    }
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
  if (atEnd) old.scrollTop = old.scrollHeight;
}

/** The existing node for `fresh`: `node` itself or, if `fresh` has an id, `node` or a later one with that id. */
function counterpart(node, fresh) {
  if (fresh.id) {
    for (let each = node; each; each = each.nextSibling) if (each.id === fresh.id) return each;
    return null;
  }
  return node && node.nodeName === fresh.nodeName && !node.id ? node : null;
}

/** Fetches the page every few seconds, until its `data-follow` is 0. */
function follow(main) {
  let tag = '"none"';
  let timer = 0;
  const seconds = () => Number(main.dataset.follow);
  const connection = document.getElementById("connection");

  async function look() {
    try {
      const answer = await fetch(location.pathname + location.search, { headers: { "If-None-Match": tag } });
      if (answer.status === 401) return location.reload();
      if (answer.status === 200) {
        tag = answer.headers.get("ETag");
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        show(fresh);
      }
      connection.hidden = answer.ok || answer.status === 304;
    } catch {
      connection.hidden = false;
    }
    wait();
  }

  function show(fresh) {
    localize(fresh);
    const before = main.dataset.announcement;
    update(main, fresh.getElementById("main"));
    document.title = fresh.title;
    if (main.dataset.announcement !== before) {
      document.getElementById("announcement").textContent = main.dataset.announcement;
    }
  }

  function wait() {
    clearTimeout(timer);
    if (seconds() && !document.hidden) timer = setTimeout(look, 1000 * seconds());
  }

  document.addEventListener("visibilitychange", wait);
  wait();
}

const target = location.pathname === "/" && forwarded(location.hash);
if (target) location.replace(target);
localize(document);
const form = document.getElementById("login");
if (form) signIn(form);
const main = document.querySelector("main[data-follow]");
if (main) follow(main);
addEventListener("hashchange", unfold);
unfold();
