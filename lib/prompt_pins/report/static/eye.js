// Ranking by eye: places by mouse or keyboard, sent once; then the page waits for the next question.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const cards = [...document.querySelectorAll(".card")];
  const told = document.getElementById("told");
  const buttons = [...document.querySelectorAll("#send,#enough")];
  const places = cards.map(function () { return null; }); // null: open; 0: crossed out
  let typed = "", typedAt = 0, sent = false;

  function show(index) {
    const card = cards[index], place = places[index];
    const words = place === null ? "no place yet" : place === 0 ? "crossed out" : "place " + place;
    card.querySelector(".place").textContent = place === null ? "" : place === 0 ? "✕" : place;
    card.classList.toggle("placed", place > 0);
    card.classList.toggle("crossed", place === 0);
    card.setAttribute("aria-label", "Candidate " + (index + 1) + " of " + cards.length + ": " + words);
    card.parentNode.querySelector(".cross").setAttribute("aria-pressed", String(place === 0));
    return "Candidate " + (index + 1) + ": " + words + ".";
  }
  function give(index, place) {
    if (sent) return;
    places[index] = place;
    told.textContent = show(index);
  }
  function next(index) {
    give(index, places[index] === null ? Math.max(0, ...places.map(Number)) + 1 : null);
  }
  function cross(index) { give(index, places[index] === 0 ? null : 0); }

  function digit(index, key, now) {
    typed = now - typedAt < 900 ? typed + key : key;
    typedAt = now;
    if (Number(typed) > cards.length) typed = key;
    if (Number(typed) > 0 && Number(typed) <= cards.length) give(index, Number(typed));
  }
  function neighbour(index, key) {
    const columns = Math.max(1, cards.filter(function (card) {
      return card.parentNode.offsetTop === cards[0].parentNode.offsetTop;
    }).length);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    if (step !== undefined) return index + step;
    return { Home: 0, End: cards.length - 1 }[key];
  }
  function onKey(event, index) {
    if (event.altKey || event.metaKey || event.ctrlKey) return;
    const to = neighbour(index, event.key);
    if (to !== undefined) {
      if (cards[to]) cards[to].focus();
    } else if (/^[0-9]$/.test(event.key)) digit(index, event.key, event.timeStamp);
    else if (event.key === "x" || event.key === "X") cross(index);
    else if (event.key === "Backspace" || event.key === "Delete") give(index, null);
    else return;
    event.preventDefault();
  }
  cards.forEach(function (card, index) {
    show(index);
    card.addEventListener("click", function () { next(index); });
    card.addEventListener("keydown", function (event) { onKey(event, index); });
    card.parentNode.querySelector(".cross").addEventListener("click", function () { cross(index); });
  });

  function answers() {
    if (data.part === "unseen") {
      return [...document.querySelectorAll(".pair")].map(function (pair) {
        const chosen = pair.querySelector("input:checked");
        return chosen ? Number(chosen.value) : 0;
      });
    }
    const open = Math.max(0, ...places.map(Number)) + 1;
    return places.map(function (place) { return place === null ? open : place; });
  }
  function lock(locked) {
    sent = locked;
    buttons.forEach(function (button) { button.disabled = locked; });
  }
  async function send(enough) {
    if (sent) return;
    const answer = { number: data.question, answers: answers() };
    if (enough) answer.enough = true;
    if (data.part !== "unseen" && new Set(answer.answers).size < 2) {
      told.textContent = "One at least must be better than another: give the best a place, or cross others out.";
      return;
    }
    lock(true);
    try {
      const headers = { "Content-Type": "application/json", [data.header]: data.key };
      const reply = await fetch("answer", { method: "POST", headers: headers, body: JSON.stringify(answer) });
      const said = (await reply.json()).detail;
      told.textContent = typeof said === "string" ? said : "It was refused.";
      lock(reply.ok || reply.status === 409);
    } catch (error) {
      told.textContent = "The answer could not be sent. Is the server still there?";
      lock(false);
    }
  }
  buttons.forEach(function (button) {
    button.addEventListener("click", function () { send(button.id === "enough"); });
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && buttons.length) {
      event.preventDefault();
      send(false);
    }
  });
  if (cards.length) cards[0].focus({ preventScroll: true });

  setInterval(async function () {
    try {
      const reply = await fetch("state.json", { cache: "no-store" });
      if (!reply.ok) return;
      const now = await reply.json();
      document.getElementById("said").textContent = now.said;
      if (now.question !== data.question) location.reload();
    } catch (error) { /* the server may come back */ }
  }, 1500);
})();
