// A row of the list of uploads: name, progress, a sentence, buttons.

const list = document.getElementById("uploads");
const spoken = document.getElementById("uploads-spoken");
const input = document.getElementById("files");

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function sizeText(bytes) {
  if (bytes < 1 << 20) return `${Math.ceil(bytes / 1024)} KiB`;
  return bytes < 1 << 30 ? `${(bytes / (1 << 20)).toFixed(1)} MiB` : `${(bytes / (1 << 30)).toFixed(2)} GiB`;
}

export class Row {
  constructor(name, size) {
    this.name = name;
    this.size = size;
    this.percent = -1;
    this.bar = element("progress", { max: 100, value: 0, ariaLabel: `Upload of ${name}` });
    this.text = element("span", { className: "quiet said" });
    this.buttons = element("span", { className: "buttons" });
    this.title = element("span", { className: "name", textContent: name, title: name });
    this.item = element("li", {}, this.title, this.buttons, this.bar, this.text);
    list.prepend(this.item);
  }

  say(text, { bad = false, aloud = true } = {}) {
    this.text.textContent = text;
    this.text.classList.toggle("bad", bad);
    if (aloud) spoken.textContent = `${this.name}: ${text}`;
  }

  // Offers these actions, by the names of their buttons. The focus stays in the row.
  offer(actions) {
    const names = Object.keys(actions).join();
    if (names === this.offered) return;
    this.offered = names;
    const focused = this.buttons.contains(document.activeElement);
    this.buttons.replaceChildren(
      ...Object.entries(actions).map(([name, action]) =>
        element("button", { type: "button", textContent: name, ariaLabel: `${name}: ${this.name}`, onclick: action }),
      ),
    );
    if (focused) (this.buttons.querySelector("button") || input).focus();
  }

  // Shows how far the upload is. It is read aloud at every ten percent.
  progress(done, rate) {
    const percent = this.size ? Math.floor((100 * done) / this.size) : 0;
    const aloud = Math.floor(percent / 10) !== Math.floor(this.percent / 10);
    this.percent = percent;
    this.bar.value = percent;
    const speed = rate ? `, ${sizeText(rate)}/s, ${timeText((this.size - done) / rate)} left` : "";
    this.text.classList.remove("bad");
    this.text.textContent = `${percent} % of ${sizeText(this.size)}${speed}`;
    if (aloud) spoken.textContent = `${this.name}: ${percent} %`;
  }

  link(url) {
    this.title.replaceChildren(element("a", { href: url, textContent: this.name }));
  }

  remove() {
    if (this.item.contains(document.activeElement)) input.focus();
    this.item.remove();
  }
}

function timeText(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
