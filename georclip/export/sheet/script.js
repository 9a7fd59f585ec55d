"use strict";
(function () {
  var all = function (what, within) {
    return Array.prototype.slice.call((within || document).querySelectorAll(what));
  };
  var tools = document.getElementById("tools");
  var order = document.getElementById("order");
  var least = document.getElementById("least");
  var text = function (card, name) { return card.getAttribute("data-" + name) || ""; };
  var byRank = function (a, b) { return text(a, "rank") - text(b, "rank"); };
  var compare = {
    rank: byRank,
    confidence: function (a, b) { return text(b, "confidence") - text(a, "confidence") || byRank(a, b); },
    scene: function (a, b) { return text(a, "scene").localeCompare(text(b, "scene")) || byRank(a, b); },
    date: function (a, b) { return byDate(a, b, -1); },
    "date-up": function (a, b) { return byDate(a, b, 1); }
  };
  function byDate(a, b, way) {
    var one = text(a, "date"), other = text(b, "date");
    if (!one !== !other) { return one ? -1 : 1; }
    return one === other ? byRank(a, b) : (one < other ? -way : way);
  }
  function marksOf(card) {
    return all("[data-hit='" + card.id + "'], [data-of='" + card.id + "']");
  }
  if (tools) {
    tools.hidden = false;
    tools.addEventListener("submit", function (event) { event.preventDefault(); });
  }
  if (order) {
    order.addEventListener("change", function () {
      all(".cards").forEach(function (list) {
        all(".card", list).sort(compare[order.value]).forEach(function (card) { list.appendChild(card); });
      });
    });
  }
  if (least) {
    least.addEventListener("input", function () {
      document.getElementById("least-shown").textContent = Number(least.value).toFixed(2);
      all(".card").forEach(function (card) {
        var away = Number(text(card, "confidence")) < Number(least.value);
        card.hidden = away;
        marksOf(card).forEach(function (mark) { mark.classList.toggle("away", away); });
      });
    });
  }
  all(".card").forEach(function (card) {
    var light = function (on) {
      marksOf(card).forEach(function (mark) {
        mark.classList.toggle("lit", on);
        if (on && mark.hasAttribute("data-hit")) {
          mark.parentNode.insertBefore(mark, mark.parentNode.querySelector(".ticks"));
        }
      });
    };
    card.addEventListener("mouseenter", function () { light(true); });
    card.addEventListener("mouseleave", function () { light(false); });
    card.addEventListener("focusin", function () { light(true); });
    card.addEventListener("focusout", function () { light(false); });
  });
  all("[data-hit]").forEach(function (mark) {
    var card = document.getElementById(mark.getAttribute("data-hit"));
    if (!card || !card.classList.contains("card")) { return; }
    mark.addEventListener("mouseenter", function () { card.classList.add("lit"); });
    mark.addEventListener("mouseleave", function () { card.classList.remove("lit"); });
  });
  if (navigator.clipboard && navigator.clipboard.writeText) {
    all("[data-copy]").forEach(function (button) {
      button.hidden = false;
      button.addEventListener("click", function () {
        navigator.clipboard.writeText(button.getAttribute("data-copy")).then(function () {
          button.textContent = "copied";
          setTimeout(function () { button.textContent = "copy"; }, 1500);
        });
      });
    });
  }
})();
