//! How connections are made.

use super::ClientBuilder;
#[cfg(feature = "tls")]
use crate::net::Tls;
use crate::net::{Connect, Proxy, Resolve};
use std::{net::IpAddr, path::Path, sync::Arc};

impl ClientBuilder {
    /// Sets how TLS is spoken.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Tls;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().tls(Tls::new().add_root_pem(&std::fs::read("company.pem")?)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self.network(|_| {})
    }

    /// Replaces the proxies of the environment; `None` means no proxy.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Proxy;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().proxy(Proxy::new("http://proxy.example.org:3128")?).build()?;
    /// let direct = client.derive().proxy(None).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn proxy(self, proxy: impl Into<Option<Proxy>>) -> Self {
        let proxy = proxy.into();
        self.network(|n| n.proxy = proxy)
    }

    /// Finds addresses in another way.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Client, Deadline, net::Resolve};
    /// use std::{io, net::SocketAddr};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// struct Here;
    /// impl Resolve for Here {
    ///     fn resolve(&self, _host: &str, port: u16, _deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
    ///         Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
    ///     }
    /// }
    ///
    /// let client = Client::builder().resolver(Here).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn resolver(self, resolver: impl Resolve + 'static) -> Self {
        self.network(|n| n.resolver = Some(Arc::new(resolver)))
    }

    /// Makes wires in another way: in memory, through a jump host.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Client, Deadline, Result, net::{Connect, Target, Tcp, Wire}};
    /// use std::net::TcpStream;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// struct JumpHost;
    /// impl Connect for JumpHost {
    ///     fn connect(&self, _target: &Target, _deadline: Deadline) -> Result<Box<dyn Wire>> {
    ///         Ok(Box::new(Tcp::new(TcpStream::connect("jump.example.org:2000")?)?))
    ///     }
    /// }
    ///
    /// let client = Client::builder().connector(JumpHost).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connector(self, connector: impl Connect + 'static) -> Self {
        self.network(|n| n.connector = Some(Arc::new(connector)))
    }

    /// Connects everything to a Unix socket.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().unix_socket("/run/service.sock").build()?;
    /// println!("{}", client.get("http://service/status").send()?.text()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unix_socket(self, path: impl AsRef<Path>) -> Self {
        self.network(|n| n.unix = Some(path.as_ref().to_owned()))
    }

    /// Connects from this address.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::IpAddr;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().local_address(IpAddr::from([192, 0, 2, 1])).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_address(self, address: IpAddr) -> Self {
        self.network(|n| n.local = Some(address))
    }
}
