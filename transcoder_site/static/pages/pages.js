// Sends what a form of a document's page says, as programs do, and shows the answer.
"use strict";

async function send(form) {
  const body = form.elements.document;
  return fetch(form.action, {
    method: form.dataset.method,
    headers: {
      Accept: "application/json",
      "Content-Type": "application/json",
      "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
    },
    body: body ? body.value : undefined,
  });
}

for (const form of document.querySelectorAll("form[data-method]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const shown = form.querySelector("output");
    try {
      const answer = await send(form);
      shown.textContent = `${answer.status} ${answer.statusText}\n${await answer.text()}`;
    } catch (error) {
      shown.textContent = `No answer: ${error.message}`;
    }
  });
}
