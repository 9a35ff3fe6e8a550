"""Nobody sees a page without the token, no page of another origin changes anything, and nothing runs in a page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from visiting import Visitor, entry, visiting

import coshelf
from coshelf import viewer
from coshelf.viewer.web.access import Access, Guard

PATHS = ("/", "/keys/MGEv", entry("a/b"), entry("a/b", "/download"), "/data/rows", "/search?text=a", "/nothing")


@pytest.fixture(scope="module")
def visitor():
    with coshelf.open("memory:") as shelf:
        shelf["a/b"] = 1
        with visiting(shelf, write=True) as found:
            yield found


@pytest.fixture
def stranger(visitor):
    found = Visitor(visitor.start, is_stranger=True)
    yield found
    found.close()


def test_token_is_exchanged_for_a_cookie_that_scripts_and_other_sites_never_get(stranger) -> None:
    path = stranger.start.partition(stranger.host)[2]
    answer = stranger.send("GET", f"{path}&text=a&from=b")
    assert answer.status == 303
    assert answer.headers["location"] == "/?text=a&from=b"
    name, *rest = answer.headers["set-cookie"].split("; ")
    assert name.startswith(f"coshelf-viewer-{stranger.host.partition(':')[2]}=")
    assert sorted(rest) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    assert path.partition("=")[2] not in name  # the address cannot be made of the cookie


def test_address_that_a_browser_is_started_with_is_good_once() -> None:
    access = Access.of("127.0.0.1", 5)
    assert access.start_once != access.start
    assert [welcomes(access, (start,))[0] for start in (access.start, access.start_once)] == [True, True]
    assert welcomes(access, (access.start_once, access.start_once, access.start, access.start)) == [
        True,
        False,
        True,
        True,
    ]


def welcomes(access: Access, addresses: tuple[str, ...]) -> list[bool]:
    """Whether each of several requests, one after the other, is given the cookie."""
    found = []

    async def app(*_: Any) -> None:
        raise AssertionError

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.append(any(name == b"set-cookie" for name, _ in message["headers"]))

    guard = Guard(app, access)
    for address in addresses:
        query = address.partition("?")[2].encode()
        headers = [(b"host", access.authority.encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": headers}
        asyncio.run(guard(scope, receive, send))
    return found


def test_after_a_link_of_another_site_the_page_itself_leads_on_so_that_the_cookie_is_sent(stranger) -> None:
    path = stranger.start.partition(stranger.host)[2]
    answer = stranger.send("GET", path, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 200
    assert ("meta", {"http-equiv": "refresh", "content": "0; url=/"}) in answer.page.elements


def test_token_never_leads_to_another_site(stranger) -> None:
    token = stranger.start.partition("?")[2]
    for path in ("//evil.example/", "/%2Fevil.example", "/\\evil.example"):
        answer = stranger.send("GET", f"{path}?{token}")
        assert answer.status == 303
        assert answer.headers["location"].startswith("/")
        assert not answer.headers["location"].startswith(("//", "/\\"))


@pytest.mark.parametrize("path", PATHS)
def test_no_page_is_shown_without_the_cookie(stranger, path: str) -> None:
    for cookie in ("", "x=y", "coshelf-viewer-1=a", stranger.host, 'a="', "coshelf=\xe9"):
        answer = stranger.send("GET", path, headers={"Cookie": cookie} if cookie else {})
        assert answer.status == 403
        assert "address that coshelf printed" in answer.page.text


def test_cookies_of_other_programs_on_this_host_do_not_keep_anybody_out(visitor, stranger) -> None:
    others = (
        'x={"a":1,"b":[1,2]}',
        "a[0]=1",
        'b@c="',
        "=",
        "",
        "coshelf-viewer-1=x",
        f"{visitor.cookie}x",
        "\xe9=\xe9",
    )
    for other in (each.encode().decode("latin-1") for each in others):
        for cookie in (f"{other}; {visitor.cookie}", f"{visitor.cookie};{other}"):
            assert stranger.send("GET", "/", headers={"Cookie": cookie}).status == 200, cookie
        assert stranger.send("GET", "/", headers={"Cookie": other}).status == 403


@pytest.mark.parametrize("token", ["", "x", "é", "%00"])
def test_wrong_token_gives_no_cookie(stranger, token: str) -> None:
    answer = stranger.send("GET", f"/?token={token.encode().hex()}")
    assert answer.status == 403
    assert answer.headers["set-cookie"] is None


@pytest.mark.parametrize("path", PATHS)
def test_another_host_leads_nowhere_even_with_the_cookie(visitor, path: str) -> None:
    port = visitor.host.partition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", f"localhost:{port}", "127.0.0.1", f"127.0.0.1:{port}.", ""):
        answer = visitor.send("GET", path, headers={"Host": host, "Cookie": visitor.cookie})
        assert answer.status == 421, host


def test_two_hosts_are_refused(visitor) -> None:
    answer = visitor.send("GET", "/", headers={"Host": visitor.host, "host": "evil.example", "Cookie": visitor.cookie})
    assert answer.status in (400, 421)


@pytest.mark.parametrize(
    "path", [entry("a/b", "/delete"), entry("a/b", "/edit"), "/new", "/upload", entry("a/b", "/load")]
)
def test_form_of_another_origin_does_nothing(visitor, path: str) -> None:
    fields = visitor.get(entry("a/b")).page.fields(entry("a/b", "/delete"))
    body = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in fields.items()).encode()
    kind = {"Cookie": visitor.cookie, "Content-Type": "application/x-www-form-urlencoded"}
    for origin in (
        None,
        "null",
        "http://evil.example",
        f"https://{visitor.host}",
        f"http://{visitor.host}.evil.example",
    ):
        headers = kind if origin is None else kind | {"Origin": origin}
        answer = visitor.send("POST", path, body, headers)
        assert answer.status == 403
        assert "another origin" in answer.page.text
    assert visitor.get(entry("a/b")).status == 200


@pytest.mark.parametrize(
    "path", [entry("a/b", "/delete"), entry("a/b", "/edit"), "/new", "/upload", entry("a/b", "/load")]
)
def test_form_without_the_token_of_a_page_does_nothing(visitor, path: str) -> None:
    for token in ({}, {"form_token": ""}, {"form_token": "é"}):
        answer = visitor.post(path, {"version": "int 1", "key": "x", "form": "json", "text": "1", **token})
        assert answer.status == 403
        assert "does not come from a page of this viewer" in answer.page.text
    assert visitor.get(entry("a/b")).status == 200
    assert visitor.get(entry("x")).status == 404


@pytest.mark.parametrize("path", [*PATHS, "/static/viewer.js", "/static/viewer.css", "/static/none"])
def test_every_answer_has_the_headers_that_keep_a_browser_from_running_anything_else(visitor, path: str) -> None:
    headers = visitor.get(path).headers
    policy = dict(each.partition(" ")[::2] for each in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        **{f"{kind}-src": "'self'" for kind in ("script", "style", "img", "connect")},
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert [name for name in headers if name.lower().startswith("access-control-")] == []


def test_other_methods_are_refused(visitor) -> None:
    origin = {"Cookie": visitor.cookie, "Origin": f"http://{visitor.host}"}
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
        assert visitor.send(method, "/", headers=origin).status == 405
    assert visitor.send("HEAD", "/", headers={"Cookie": visitor.cookie}).status == 200


def test_files_of_the_pages_are_those_of_one_directory(visitor) -> None:
    for path in ("/static/../access.py", "/static/%2e%2e/access.py", "/static/..%2faccess.py", "/static//etc/passwd"):
        assert visitor.get(path).status == 404


def test_body_that_is_too_large_is_refused_before_it_is_read(visitor) -> None:
    headers = {"Cookie": visitor.cookie, "Origin": f"http://{visitor.host}", "Content-Length": str(1 << 40)}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    other = Visitor(visitor.start)
    answer = other.send("POST", "/new", b"a=b", headers)
    assert answer.status == 413
    other.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "localhost", ""])
def test_address_that_others_can_reach_is_refused(host: str) -> None:
    with (
        coshelf.open("memory:") as shelf,
        pytest.raises(ValueError, match="for this machine alone"),
        viewer.serving(shelf, host=host),
    ):
        pass


def test_each_viewer_has_secrets_of_its_own() -> None:
    with coshelf.open("memory:") as shelf, visiting(shelf) as one, visiting(shelf) as other:
        assert one.start != other.start
        assert one.get("/").status == other.get("/").status == 200
        one.cookie, other.cookie = other.cookie, one.cookie
        assert one.get("/").status == other.get("/").status == 403
