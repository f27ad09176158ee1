//! What a request says otherwise than its client.

use super::RequestBuilder;
use crate::{
    client::{redirect::Redirects, retry::Retry, settings::Protocol},
    drive::Cancel,
    time::Timeouts,
};
use std::time::Duration;

impl RequestBuilder {
    /// Sets the total time limit of this request.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let text = bowline::get("https://example.org").timeout(Duration::from_secs(5)).send()?.text()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(self, total: Duration) -> Self {
        let timeouts = self.options.timeouts.clone().total(total);
        self.timeouts(timeouts)
    }

    /// Sets the longest silence while the body is read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let text = bowline::get("https://example.org").read_timeout(Duration::from_secs(5)).send()?.text()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_timeout(self, d: Duration) -> Self {
        let timeouts = self.options.timeouts.clone().read(d);
        self.timeouts(timeouts)
    }

    /// Sets all time limits of this request, instead of the client's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let limits = Timeouts::default().first_byte(Duration::from_secs(600));
    /// let text = bowline::get("https://example.org").timeouts(limits).send()?.text()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.options().timeouts = timeouts;
        self
    }

    /// Chooses the HTTP version for this request.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Protocol;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").protocol(Protocol::Http1).send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.options().protocol = protocol;
        self
    }

    /// Chooses the redirects for this request.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Redirects;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").redirects(Redirects::None).send()?;
    /// println!("{:?}", response.header("location"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.options().redirects = redirects;
        self
    }

    /// Chooses the automatic retry for this request.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Retry;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").retry(Retry::Never).send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options().retry = retry;
        self
    }

    /// Sends `Expect: 100-continue`, and waits at most so long before the body is sent anyway (RFC 9110, section 10.1.1).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::{fs::File, time::Duration};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let request = bowline::shared().put("https://example.org/film").body(File::open("film.mkv")?);
    /// let response = request.expect_continue(Duration::from_secs(1)).send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn expect_continue(mut self, d: Duration) -> Self {
        self.options().expect = Some(d);
        self
    }

    /// Ends this request and its body when the token is cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Cancel, Client, ErrorKind};
    ///
    /// let cancel = Cancel::new();
    /// let request = Client::new().get("https://example.org").cancel_on(&cancel);
    /// cancel.cancel();
    /// assert_eq!(request.send().unwrap_err().kind(), ErrorKind::Cancelled);
    /// ```
    pub fn cancel_on(mut self, cancel: &Cancel) -> Self {
        self.options().cancels.push(cancel.clone());
        self
    }
}
