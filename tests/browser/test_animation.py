"""README's animation is filmed from the running page."""

from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from tests.browser import animation
from tests.browser.animation import Film
from tests.browser.visitor import Visitor


def test_a_film_shows_each_picture_of_the_page_once_for_as_long_as_it_was_there(
    customer: Visitor, tmp_path: Path
) -> None:
    film = Film(customer.page)
    customer.orders()
    film.until(customer.page.locator(".timeline .headline", has_text="E-mail sent").is_visible)
    film.hold(4000)
    film.hold(4000)  # of the same picture

    animation.write(film, tmp_path / "film.gif")

    pictures = [picture for picture, _ in film.pictures]
    assert all(one != other for one, other in pairwise(pictures))
    with Image.open(tmp_path / "film.gif") as written:
        assert written.size == animation.SIZE
        assert written.n_frames > 1
        written.seek(written.n_frames - 1)
        assert written.info["duration"] >= 4000


def test_a_film_of_what_never_happens_ends(customer: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "TIMEOUT_SECONDS", 0)

    with pytest.raises(TimeoutError):
        Film(customer.page).until(lambda: False)
