"""The thread that works on the newest item only."""

import threading
import weakref

from metric_depth_ros.nodes.worker import NewestWorker


def test_items_wait_while_it_prepares_and_only_the_newest_is_worked_on():
    prepared, done, worked = threading.Event(), threading.Event(), []

    def prepare():
        return prepared.wait(10)

    def work(item):
        worked.append(item)
        done.set()

    worker = NewestWorker(work, name="test", prepare=prepare)
    worker.start()
    assert [worker.put(item) for item in (1, 2, 3)] == [False, True, True]
    assert not worked
    prepared.set()
    assert done.wait(10)
    worker.wait_until_idle()
    assert worked == [3]
    worker.stop(5)


def test_an_item_is_let_go_once_it_is_worked_on():
    class Item:
        pass

    done = threading.Event()
    worker = NewestWorker(lambda item: done.set(), name="test")
    worker.start()
    item = Item()
    held = weakref.ref(item)
    worker.put(item)
    del item
    assert done.wait(5)
    worker.wait_until_idle()
    assert held() is None
    worker.stop(5)


def test_there_is_no_work_when_it_could_not_be_prepared():
    worked = []
    worker = NewestWorker(worked.append, name="test", prepare=lambda: False)
    worker.put(1)
    worker.start()
    worker.stop(5)
    assert not worked
